// Choosing a token from logits. From the logits on, everything is integers, so that identical logits and seed give the
// identical token on every backend and machine:
//   steps[i]  = floor(65536 * (max - logits[i]) * (log2(e) / temperature)), both products rounded to f32
//   weight[i] = 2^30 * 2^(-steps[i] / 65536), by table (exp2.ts)
//   kept      = top-k by logit, then the top-p nucleus, then min-p; equal logits rank by lower id
//   draw      = floor(sum * random / 2^64), random = 64 bits of Philox for (seed, position)
//   token     = the first kept id, in order of ids, whose running sum exceeds the draw
// Temperature comes before top-p, as in Meta's code. A nucleus is large enough when its weight is at least p times that
// of all, the product rounded to float64.

import { OptionError, PolyllamaError } from "../errors.ts";
import { type OptionSchema, option } from "../option-types.ts";
import { checkOptions } from "../options.ts";
import { exp2Weight, one } from "./exp2.ts";
import { TokenHistory } from "./history.ts";
import { philox } from "./philox.ts";

/** How the next token is drawn from its logits. */
export interface SamplingOptions {
  /** 0 picks the most probable token; default 0.8. */
  readonly temperature?: number;
  /** Keep only this many most probable tokens; 0, the default, keeps all. */
  readonly topK?: number;
  /** Keep the most probable tokens that together reach this probability; default 0.95, and 1 keeps all. */
  readonly topP?: number;
  /** Keep tokens at least this probable relative to the most probable one; 0, the default, keeps all. */
  readonly minP?: number;
  /**
   * Divides positive and multiplies negative logits of tokens that occurred, prompt included; 1, the default, is
   * neutral.
   */
  readonly repetitionPenalty?: number;
  /** Subtracted from the logits of tokens that were generated; 0 is neutral. */
  readonly presencePenalty?: number;
  /** Subtracted once for every time that a token was generated; 0 is neutral. */
  readonly frequencyPenalty?: number;
  /** Added to the logits of these token ids, an object or a Map; -Infinity forbids a token. */
  readonly logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>;
  /** Integer from 0 to 2^53 - 1; equal seeds give equal text. Default: drawn at random. */
  readonly seed?: number;
}

/** What each option of {@link SamplingOptions} takes. */
export const samplingOptionTypes: OptionSchema<SamplingOptions> = {
  temperature: option.number({ least: 0, most: 1000 }),
  topK: option.integer({ least: 0 }),
  topP: option.number({ least: 0, most: 1 }),
  minP: option.number({ least: 0, most: 1 }),
  repetitionPenalty: option.number({ least: 0.01, most: 100 }),
  presencePenalty: option.number({ least: -100, most: 100 }),
  frequencyPenalty: option.number({ least: -100, most: 100 }),
  logitBias: option.entries("an object or a Map from token ids to numbers"),
  seed: option.integer({ least: 0, most: Number.MAX_SAFE_INTEGER }),
};

/** What decides about a token where no penalty and no bias do; all of it known before the logits are. */
export type DrawOptions = Required<Pick<SamplingOptions, "temperature" | "topK" | "topP" | "minP" | "seed">>;

/** Picks tokens; made by {@link createSampler}. */
export interface Sampler {
  /** The seed in use, to repeat the text later. */
  readonly seed: number;
  /**
   * Present where logits and position alone decide, so that the choice can be left to the device that has the logits.
   */
  readonly draw: DrawOptions | undefined;
  /**
   * Picks the token that follows.
   *
   * @param logits [V]; not changed.
   * @param tokens The sequence so far; its length is the position that the random number belongs to.
   * @param promptLength How many of `tokens` were given rather than generated.
   * @param position Position of the random number, where it is not the number of tokens.
   * @throws {PolyllamaError} `ERR_BACKEND` for logits that are NaN, or all -Infinity, which name a defect and no token;
   * `ERR_OPTION` where `logitBias` and penalties forbid every token.
   */
  sample(
    logits: Float32Array | Float64Array,
    tokens: readonly number[],
    promptLength: number,
    position?: number,
  ): number;
  /** As {@link Sampler.sample}, with work that does not grow with the text. */
  sampleAfter(logits: Float32Array | Float64Array, history: TokenHistory, position?: number): number;
}

/** @throws {PolyllamaError} `ERR_OPTION` */
export function createSampler(options: SamplingOptions = {}): Sampler {
  checkOptions(options, samplingOptionTypes, "sampling");
  const { temperature = 0.8, topK = 0, topP = 0.95, minP = 0, logitBias = {} } = options;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = options;
  const { seed = Math.floor(Math.random() * 2 ** 32) } = options;
  const biases = biasEntries(logitBias);
  const penalized = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0 || biases.length > 0;

  function adjust(logits: Float32Array, { generated }: TokenHistory): void {
    for (const [id, count] of generated) {
      const logit = logits[id]!;
      const repeated = Math.fround(logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty);
      logits[id] = count === 0 ? repeated : repeated - (presencePenalty + frequencyPenalty * count);
    }
    for (const [id, bias] of biases) {
      if (id >= logits.length) {
        throw new PolyllamaError("ERR_OPTION", `logitBias: token ${id} is beyond the vocabulary of ${logits.length}.`);
      }
      logits[id] = bias === -Infinity ? bias : logits[id]! + bias; // forbidden, whatever penalties made of it
    }
  }

  function sampleAfter(given: Float32Array | Float64Array, history: TokenHistory, position = history.length): number {
    const logits = Float32Array.from(given); // [V]
    if (penalized) adjust(logits, history);
    const best = mostProbable(logits);
    if (logits[best] === -Infinity) throw noneAllowed(given);
    if (temperature === 0) return best;
    const weights = tokenWeights(logits, best, temperature); // [V]
    if (topK > 0 && topK < logits.length) keepTopK(logits, weights, topK);
    if (topP < 1) keepNucleus(logits, weights, topP);
    if (minP > 0) keepAtLeast(weights, Math.ceil(minP * one));
    return draw(weights, seed, position);
  }

  return {
    seed,
    draw: penalized ? undefined : { temperature, topK, topP, minP, seed },
    sampleAfter,
    sample(logits, tokens, promptLength, position = tokens.length) {
      const history = new TokenHistory(tokens.slice(0, promptLength));
      for (const id of tokens.slice(promptLength)) history.push(id);
      return sampleAfter(logits, history, position);
    },
  };
}

/** @throws {OptionError} for what is no token id, and for biases that are NaN or Infinity. */
function biasEntries(given: NonNullable<SamplingOptions["logitBias"]>): readonly (readonly [number, number])[] {
  const entries: readonly (readonly [unknown, unknown])[] = [...(given instanceof Map ? given : Object.entries(given))];
  return entries.map(([id, bias]) => {
    const place = { option: "logitBias", expected: "numbers or -Infinity by token ids" };
    if (!/^\d+$/.test(String(id))) {
      throw new OptionError(`logitBias: ${JSON.stringify(id)} is not a token id.`, { ...place, value: id });
    }
    if (typeof bias !== "number" || Number.isNaN(bias) || bias === Infinity) {
      const message = `logitBias of token ${id} must be a number or -Infinity, not ${String(bias)}.`;
      throw new OptionError(message, { ...place, value: bias });
    }
    return [Number(id), bias];
  });
}

/** Id of the largest logit, the lowest among equals. @throws {PolyllamaError} `ERR_BACKEND` when any is NaN. */
export function mostProbable(logits: Float32Array | Float64Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i]!;
    if (Number.isNaN(logit))
      throw new PolyllamaError("ERR_BACKEND", `The logit of token ${i} is NaN; the backend computed wrongly.`);
    if (logit > logits[best]!) best = i;
  }
  return best;
}

/** Why no token can be picked. */
function noneAllowed(given: Float32Array | Float64Array): PolyllamaError {
  return given.some((logit) => logit > -Infinity)
    ? new PolyllamaError(
        "ERR_OPTION",
        "logitBias and penalties forbid every token; leave at least one of them possible.",
      )
    : new PolyllamaError("ERR_BACKEND", "All logits are -Infinity; the backend computed wrongly.");
}

function tokenWeights(logits: Float32Array, best: number, temperature: number): Uint32Array {
  const scale = Math.fround(Math.LOG2E / temperature);
  const most = logits[best]!;
  const weights = new Uint32Array(logits.length);
  for (let i = 0; i < logits.length; i++) {
    const distance = Math.fround(Math.fround(most - logits[i]!) * scale);
    // Equal infinities have no distance, and an infinite distance no weight.
    weights[i] = distance < 31 ? exp2Weight(Math.floor(distance * 65536)) : logits[i] === most ? one : 0;
  }
  return weights;
}

function keepTopK(logits: Float32Array, weights: Uint32Array, k: number): void {
  const least = logits.slice().sort()[logits.length - k]!;
  let room = k - logits.reduce((count, logit) => count + (logit > least ? 1 : 0), 0);
  for (let i = 0; i < logits.length; i++) {
    if (logits[i]! > least) continue;
    if (logits[i] === least && room > 0) room--;
    else weights[i] = 0;
  }
}

function keepNucleus(logits: Float32Array, weights: Uint32Array, p: number): void {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const enough = p * total;
  // All tokens lighter than this weigh less than (1 - p) * total together, so none of them is in the nucleus.
  const floor = ((1 - p) * total) / weights.length;
  const heavy: number[] = [];
  for (let i = 0; i < weights.length; i++) if (weights[i]! > 0 && weights[i]! >= floor) heavy.push(i);
  heavy.sort((a, b) => logits[b]! - logits[a]! || a - b);
  const kept = new Set<number>();
  let sum = 0;
  for (const id of heavy) {
    kept.add(id);
    sum += weights[id]!;
    if (sum >= enough) break;
  }
  for (let i = 0; i < weights.length; i++) if (!kept.has(i)) weights[i] = 0;
}

function keepAtLeast(weights: Uint32Array, least: number): void {
  for (let i = 0; i < weights.length; i++) if (weights[i]! < least) weights[i] = 0;
}

function draw(weights: Uint32Array, seed: number, position: number): number {
  const [low, high] = philox([position, 0, 0, 0], [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const random = (BigInt(high) << 32n) | BigInt(low);
  const target = Number((BigInt(total) * random) >> 64n);
  let sum = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    sum += weights[i]!;
    if (sum > target) return i;
    last = i;
  }
  return last;
}
