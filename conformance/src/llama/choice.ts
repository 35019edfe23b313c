// How a token is chosen, written from the documentation of the sampling options and of the integers that decide
// (core/src/sampling/sample.ts), plainly and slowly, and sharing nothing with the code that it judges.

import type { SamplingOptions, TokenLogprob } from "@polyllama/core";

const one = 2 ** 30;
/** 2^30 * 2^(-j/256), rounded. */
const powers = Array.from({ length: 257 }, (_, j) => Math.round(one * 2 ** (-j / 256)));

/** The token that follows `tokens`, of which the first `promptLength` were given; logits [V]. */
export function choose(
  given: ArrayLike<number>,
  tokens: readonly number[],
  promptLength: number,
  options: SamplingOptions & { readonly seed: number },
): number {
  const { temperature = 0.8, topK = 0, topP = 0.95, minP = 0, seed } = options;
  const logits = adjusted(given, tokens, tokens.slice(promptLength), options); // [V]
  const most = logits.reduce((a, b) => Math.max(a, b));
  if (temperature === 0) return logits.indexOf(most);

  const scale = Math.fround(Math.LOG2E / temperature);
  const weight = (id: number): number => {
    if (logits[id] === most) return one;
    const distance = Math.fround(Math.fround(most - logits[id]!) * scale);
    if (distance >= 31) return 0;
    const steps = Math.floor(65536 * distance);
    const [octaves, j, rest] = [Math.floor(steps / 65536), Math.floor(steps / 256) % 256, steps % 256];
    const between = powers[j]! - Math.floor(((powers[j]! - powers[j + 1]!) * rest) / 256);
    return Math.floor(between / 2 ** octaves);
  };
  let kept = Array.from(logits, (logit, id) => ({ id, logit, weight: weight(id) }));
  if (topK > 0 || topP < 1) kept.sort((a, b) => b.logit - a.logit || a.id - b.id); // equal logits by id
  if (topK > 0) kept = kept.slice(0, topK);
  if (topP < 1) {
    const enough = topP * sum(kept); // a float64, whose rounding counts where weights are equal
    let reached = 0;
    let count = 0;
    do reached += kept[count++]!.weight;
    while (count < kept.length && reached < enough);
    kept = kept.slice(0, count);
  }
  kept = kept.filter((token) => token.weight >= minP * one && token.weight > 0).sort((a, b) => a.id - b.id);
  const drawn = (BigInt(sum(kept)) * randomWord(tokens.length, seed)) >> 64n;
  let running = 0n;
  for (const { id, weight } of kept) {
    running += BigInt(weight);
    if (running > drawn) return id;
  }
  throw new Error("the definition kept no token");
}

function sum(tokens: readonly { readonly weight: number }[]): number {
  return tokens.reduce((total, { weight }) => total + weight, 0);
}

/** Logits under penalties and biases, each result rounded to f32. */
function adjusted(
  given: ArrayLike<number>,
  all: readonly number[],
  generated: readonly number[],
  options: SamplingOptions,
): Float32Array {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias = {} } = options;
  const logits = Float32Array.from(given); // rounds what is put into it
  for (const id of new Set(all)) {
    const logit = logits[id]!;
    logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
  }
  for (const id of new Set(generated)) {
    const times = generated.filter((other) => other === id).length;
    logits[id] = logits[id]! - (presencePenalty + frequencyPenalty * times);
  }
  for (const [id, bias] of logitBias instanceof Map ? logitBias : Object.entries(logitBias)) {
    logits[Number(id)] = bias === -Infinity ? bias : logits[Number(id)]! + Number(bias);
  }
  return logits;
}

/** 64 bits of Philox4x32-10 (Salmon et al., SC 2011) for a counter and a key. */
function randomWord(position: number, seed: number): bigint {
  const mask = 0xffffffffn;
  let counter = [BigInt(position), 0n, 0n, 0n];
  let key = [BigInt(seed) & mask, BigInt(seed) >> 32n];
  for (let round = 0; round < 10; round++) {
    const [a, b, c, d] = counter as [bigint, bigint, bigint, bigint]; // four words, always
    const [left, right] = [0xd2511f53n * a, 0xcd9e8d57n * c];
    counter = [(right >> 32n) ^ b ^ key[0]!, right & mask, (left >> 32n) ^ d ^ key[1]!, left & mask];
    key = [(key[0]! + 0x9e3779b9n) & mask, (key[1]! + 0xbb67ae85n) & mask];
  }
  return (counter[1]! << 32n) | counter[0]!;
}

/** Natural logarithms of all probabilities, of the logits as they are, most probable first and equal ones by id. */
export function probabilities(logits: ArrayLike<number>): readonly TokenLogprob[] {
  const values = Array.from(logits);
  const most = values.reduce((a, b) => Math.max(a, b));
  const total = values.reduce((sum, value) => sum + Math.exp(value - most), 0);
  return values
    .map((value, id) => ({ id, logprob: value - most - Math.log(total) }))
    .sort((a, b) => values[b.id]! - values[a.id]! || a.id - b.id);
}

/**
 * How far two ways to sum V exponentials in float64 may be apart: each term and each addition rounds by 2^-53, of a sum
 * that is V times as long; then a logarithm and two subtractions of numbers up to `size`.
 */
export function logprobSlack(vocabulary: number, size: number): number {
  return (2 * vocabulary + 8 * (1 + size)) * 2 ** -53;
}
