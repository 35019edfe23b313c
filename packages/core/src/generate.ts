// The generation loop: evaluate, sample, decode, repeat. It works on anything that can continue a sequence of tokens.

import { checkNumber, checkOptions, PolyllamaError } from "./errors.ts";
import { logprobs, type TokenLogprob } from "./sampling/logprobs.ts";
import {
  createSampler,
  type DrawOptions,
  type Sampler,
  type SamplingOptions,
  samplingOptionNames,
} from "./sampling/sample.ts";
import { createStopFilter } from "./stop.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; default: until the context is full. */
  readonly maxTokens?: number;
  /** Text at which generation ends; it is not part of the result. */
  readonly stop?: string | readonly string[];
  /** Go on after the end-of-sequence token; default false. */
  readonly ignoreEos?: boolean;
  /** Report the log probability of each token and of this many alternatives (0 to 100). */
  readonly logprobs?: number;
  /** Aborts at any time, also while the prompt is read; the stream then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

export const generateOptionNames: readonly (keyof GenerateOptions)[] = [
  ...samplingOptionNames,
  "maxTokens",
  "stop",
  "ignoreEos",
  "logprobs",
  "signal",
];

/**
 * Why a text ended: the model said so (`eos`), a stop sequence came (`stop`), `maxTokens` were reached (`length`), or the
 * context is full (`context`).
 */
export type FinishReason = "eos" | "stop" | "length" | "context";

/** One step of a stream: a token and the text that it completes. */
export interface Piece {
  /** The token that was chosen. */
  readonly id: number;
  /** Text that became certain with it; "" while a character or a possible stop sequence is incomplete. */
  readonly text: string;
  /** Present on the last piece. */
  readonly finish?: FinishReason;
  /** Natural log of the token's probability, if asked for. */
  readonly logprob?: number;
  /** The most probable tokens, if asked for. */
  readonly top?: readonly TokenLogprob[];
}

/** A sequence of tokens that a model continues. */
export interface TokenSequence {
  readonly tokens: readonly number[];
  /** Most tokens that it holds. */
  readonly capacity: number;
  /**
   * Makes the sequence equal to `tokens`, computing only what follows the common prefix.
   *
   * @returns logits [V] for the token that comes next.
   */
  continueTo(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array | Float64Array>;
  /**
   * Continues `tokens` by up to `count` tokens that are chosen where the logits are; present where the backend can. Stopping
   * early forgets what was computed beyond the last token that was taken.
   */
  sample?(
    tokens: readonly number[],
    sampling: DrawOptions,
    count: number,
    signal?: AbortSignal,
  ): AsyncGenerator<number, void, undefined>;
}

/** Checks options of generation before any work is done. @throws {PolyllamaError} `ERR_OPTION` */
export function checkGenerateOptions(options: GenerateOptions, extra: readonly string[] = []): void {
  checkOptions(options, [...generateOptionNames, ...extra], "generation");
  checkNumber(options.maxTokens, "maxTokens", { least: 1, integer: true });
  checkNumber(options.logprobs, "logprobs", { least: 0, most: 100, integer: true });
  createSampler(samplingOptions(options));
}

/**
 * Continues a prompt token by token.
 *
 * @throws {PolyllamaError} `ERR_OPTION`; {@link ContextOverflowError} when the prompt does not fit; the signal's reason.
 */
export async function* generate(
  sequence: TokenSequence,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<Piece, void, undefined> {
  checkGenerateOptions(options);
  if (prompt.length === 0) {
    throw new PolyllamaError("ERR_OPTION", "The prompt has no tokens; start with the tokenizer's BOS token.");
  }
  const { maxTokens = Infinity, stop = [], ignoreEos = false } = options;
  const sampler = createSampler(samplingOptions(options));
  const filter = createStopFilter(typeof stop === "string" ? [stop] : stop);
  const decoder = tokenizer.decoder({ continuing: prompt.some((id) => !tokenizer.isControl(id)) });

  let count = 0;
  for await (const { id, ...details } of choices(sequence, prompt, sampler, options)) {
    count++;
    if (id === tokenizer.eos && !ignoreEos) {
      yield { id, text: filter.push(decoder.end()).text + filter.end(), finish: "eos", ...details };
      return;
    }
    const { text, stopped } = filter.push(decoder.push(id));
    if (stopped) {
      yield { id, text, finish: "stop", ...details };
      return;
    }
    const full = prompt.length + count > sequence.capacity;
    const finish = count >= maxTokens ? "length" : full ? "context" : undefined;
    if (finish !== undefined) {
      const rest = filter.push(decoder.end());
      yield { id, text: text + rest.text + filter.end(), finish: rest.stopped ? "stop" : finish, ...details };
      return;
    }
    yield { id, text, ...details };
  }
}

/** The tokens that follow, chosen on the device where the options allow it, with what was asked for about each. */
async function* choices(
  sequence: TokenSequence,
  prompt: readonly number[],
  sampler: Sampler,
  options: GenerateOptions,
): AsyncGenerator<Pick<Piece, "id" | "logprob" | "top">, void, undefined> {
  const { maxTokens = Infinity, signal } = options;
  if (sequence.sample !== undefined && sampler.draw !== undefined && options.logprobs === undefined) {
    const count = Math.max(1, Math.min(maxTokens, sequence.capacity - prompt.length + 1));
    for await (const id of sequence.sample(prompt, sampler.draw, count, signal)) yield { id };
    return;
  }
  const tokens = [...prompt];
  for (;;) {
    const logits = await sequence.continueTo(tokens, signal); // [V]
    const id = sampler.sample(logits, tokens, prompt.length);
    tokens.push(id);
    yield { id, ...(options.logprobs === undefined ? {} : logprobs(logits, id, options.logprobs)) };
  }
}

function samplingOptions(options: GenerateOptions): SamplingOptions {
  return Object.fromEntries(
    samplingOptionNames.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
}
