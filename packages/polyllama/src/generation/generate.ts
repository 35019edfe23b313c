// The generation loop: choose a token, decode it, see whether the text ends. It works on whatever chooses tokens.

import {
  checkOptions,
  createSampler,
  type OptionSchema,
  type OptionType,
  option,
  PolyllamaError,
  type Sampler,
  type SamplingOptions,
  samplingOptionTypes,
  type Tokenizer,
  type TokenLogprob,
} from "@polyllama/core";
import { createStopFilter } from "./stop.ts";

/** Options of `generate`: sampling, and where to end. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; default: until the context is full. */
  readonly maxTokens?: number;
  /**
   * Text at which generation ends; it is not part of the result. One that is exactly the name of a control token, such
   * as `<|im_end|>`, ends it at that token too, which shows no text.
   */
  readonly stop?: string | readonly string[];
  /** Tokens at which generation ends, by id or by name; their text is not part of the result. */
  readonly stopTokens?: readonly (number | string)[];
  /**
   * Ids at which the model says that its text is complete; default: the checkpoint's, without one the tokenizer's EOS.
   */
  readonly ends?: readonly number[];
  /** Go on after every end token; default false. Tokens in `stop` and `stopTokens` end the text all the same. */
  readonly ignoreEos?: boolean;
  /** Report the log probability of each token and of this many alternatives (0 to 100). */
  readonly logprobs?: number;
  /** Aborts at any time, also while the prompt is read; the stream then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Whether the vocabulary has them is checked where it is known. */
const tokenId: OptionType = { ...option.number(), expected: "a token id" };

/** What each option of {@link GenerateOptions} takes. */
export const generateOptionTypes: OptionSchema<GenerateOptions> = {
  ...samplingOptionTypes,
  maxTokens: option.integer({ least: 1 }),
  stop: option.either(option.string, option.list(option.string, "a list of strings")),
  stopTokens: option.list(
    option.either(tokenId, { ...option.string, expected: "a token's name" }),
    "a list of token ids and names",
  ),
  ends: option.list(tokenId, "a list of token ids"),
  ignoreEos: option.boolean,
  logprobs: option.integer({ least: 0, most: 100 }),
  signal: option.signal,
};

/**
 * Why a text ended: the model said so by an end token (`eos`), a stop sequence or stop token came (`stop`), `maxTokens`
 * were reached (`length`), or the context is full (`context`).
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

/** A token that was chosen, with what was asked for about it. */
export type Choice = Pick<Piece, "id" | "logprob" | "top">;

/** What chooses the tokens of a text. */
export interface TokenSource {
  /** Most tokens that it holds. */
  readonly capacity: number;
  /** Tokens that follow the prompt, as they are chosen. Whoever stops early takes back what was computed beyond. */
  choose(prompt: readonly number[], options: ChooseOptions): AsyncIterable<Choice>;
}

/** How tokens are chosen. */
export interface ChooseOptions {
  readonly sampler: Sampler;
  /** Most tokens that will be taken. */
  readonly count: number;
  /** Report the log probability of each token and of this many alternatives. */
  readonly logprobs?: number;
  /** Tokens behind which no more will be taken; whoever knows need not compute more. */
  readonly finals?: ReadonlySet<number>;
  readonly signal?: AbortSignal;
}

/**
 * Checks options of generation before any work is done.
 *
 * @param types Those of the entry point `where`, which may have more than `generate`.
 * @param tokenizer Whose tokens the options name; where it is not known yet, names are not checked.
 * @throws {OptionError}
 */
export function checkGenerateOptions(
  options: GenerateOptions,
  types: Readonly<Record<string, OptionType>> = generateOptionTypes,
  where = "generate()",
  tokenizer?: Tokenizer,
): void {
  checkOptions(options, types, where);
  createSampler(samplingOptions(options));
  if (tokenizer !== undefined) endings(tokenizer, options);
}

/**
 * Continues a prompt token by token.
 *
 * @throws {PolyllamaError} `ERR_OPTION`; `ContextOverflowError` when the prompt does not fit; the signal's reason.
 */
export async function* generate(
  source: TokenSource,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<Piece, void, undefined> {
  checkGenerateOptions(options);
  if (prompt.length === 0) {
    throw new PolyllamaError("ERR_OPTION", "The prompt has no tokens; start with the tokenizer's BOS token.");
  }
  const { maxTokens = Infinity } = options;
  const sampler = createSampler(samplingOptions(options));
  const { ends, stops, named, texts } = endings(tokenizer, options);
  const filter = createStopFilter(texts);
  const decoder = tokenizer.decoder({ continuing: prompt.some((id) => !tokenizer.isControl(id)) });
  /** The rest of the text, where it ends with `more`. */
  const finish = (reason: FinishReason, more = ""): { readonly text: string; readonly finish: FinishReason } => {
    const last = filter.push(decoder.end() + more);
    const { text, stopped } = last.stopped ? { text: "", stopped: true } : filter.end();
    return { text: last.text + text, finish: stopped ? "stop" : reason };
  };

  const { logprobs, signal } = options;
  const most = Math.max(1, Math.min(maxTokens, source.capacity - prompt.length + 1));
  const choices = source.choose(prompt, {
    sampler,
    count: most,
    finals: new Set([...ends, ...stops]),
    ...(logprobs !== undefined && { logprobs }),
    ...(signal && { signal }),
  });
  let count = 0;
  for await (const { id, ...details } of choices) {
    count++;
    if (ends.has(id)) {
      yield { id, ...finish("eos"), ...details };
      return;
    }
    if (stops.has(id)) {
      // Its name stands in the text for a moment, so that of all stop sequences still the first one counts.
      yield { id, ...finish("stop", named.has(id) ? tokenizer.piece(id) : ""), ...details };
      return;
    }
    const { text, stopped } = filter.push(decoder.push(id));
    if (stopped) {
      yield { id, text, finish: "stop", ...details };
      return;
    }
    const full = prompt.length + count > source.capacity;
    if (count >= maxTokens || full) {
      const rest = finish(count >= maxTokens ? "length" : "context");
      yield { id, text: text + rest.text, finish: rest.finish, ...details };
      return;
    }
    yield { id, text, ...details };
  }
}

/** What ends a text. */
interface Endings {
  /** End tokens, which are not ignored. */
  readonly ends: ReadonlySet<number>;
  /** Stop tokens, those of `stop` included. */
  readonly stops: ReadonlySet<number>;
  /** Stop tokens whose names are stop sequences. */
  readonly named: ReadonlySet<number>;
  /** Stop sequences. */
  readonly texts: readonly string[];
}

/** @throws {PolyllamaError} `ERR_OPTION` for a token that the vocabulary does not have. */
function endings(tokenizer: Tokenizer, options: GenerateOptions): Endings {
  const { stop = [], stopTokens = [], ignoreEos = false } = options;
  const ends = options.ends ?? (tokenizer.eos === undefined ? [] : [tokenizer.eos]);
  const texts = typeof stop === "string" ? [stop] : stop;
  const named = texts.flatMap((text) => {
    const id = tokenizer.id(text);
    return id !== undefined && tokenizer.isControl(id) ? [id] : [];
  });
  const check = (name: string, token: number | string): number => {
    const id = typeof token === "string" ? tokenizer.id(token) : token;
    if (id !== undefined && Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize) return id;
    const known = `ids go from 0 to ${tokenizer.vocabSize - 1}, and names are those that the vocabulary spells, such as "</s>"`;
    throw new PolyllamaError("ERR_OPTION", `${name}: there is no token ${JSON.stringify(token)}; ${known}.`);
  };
  return {
    ends: new Set(ignoreEos ? [] : ends.map((id) => check("ends", id))),
    stops: new Set([...named, ...stopTokens.map((token) => check("stopTokens", token))]),
    named: new Set(named),
    texts,
  };
}

function samplingOptions(options: GenerateOptions): SamplingOptions {
  const names = Object.keys(samplingOptionTypes) as (keyof SamplingOptions)[]; // its own keys
  return Object.fromEntries(names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
}
