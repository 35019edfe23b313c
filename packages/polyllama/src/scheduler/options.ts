// Options of a scheduler and of its requests: their types, and beside each the description that it is checked against.

import { type OptionSchema, option, type Progress } from "@polyllama/core";
import { type GenerateOptions, generateOptionTypes } from "../generation/generate.ts";

/** Options of `Llama.createScheduler`. */
export interface SchedulerOptions {
  /** Size of the pool of KV blocks, as sequences of a whole context; shorter ones are more. Default 4. */
  readonly sequences?: number;
  /** Most requests that are computed together; default 64. */
  readonly maxRunning?: number;
  /** Most requests that wait; more are refused with `ERR_QUEUE_FULL`. Default 256. */
  readonly maxWaiting?: number;
  /**
   * Rows of a step while texts are written: one for each of them, and what is left, a quarter at least, for prompts. The
   * smaller, the less a long prompt holds up other streams, and the longer it takes. Default 128.
   */
  readonly stepTokens?: number;
  /** Tokens that a reader may leave lying before its request rests; default 64. */
  readonly maxUndelivered?: number;
  /**
   * Every text is the one that it would be without neighbours, to the last bit of its logits. It costs nothing where a
   * device has `features.invariantRows`; elsewhere fewer prefixes are shared, prompts are read in whole chunks, and what
   * was preempted is computed again row by row. Default false.
   */
  readonly strict?: boolean;
  /** Whether prompts and answers are kept for requests that begin alike, as long as there is room; default true. */
  readonly prefixCache?: boolean;
}

export const schedulerOptionTypes: OptionSchema<SchedulerOptions> = {
  sequences: option.integer({ least: 1, most: 2 ** 20 }),
  maxRunning: option.integer({ least: 1 }),
  maxWaiting: option.integer({ least: 0 }),
  stepTokens: option.integer({ least: 1 }),
  maxUndelivered: option.integer({ least: 1 }),
  strict: option.boolean,
  prefixCache: option.boolean,
};

/** What a request may say of itself. */
export interface RequestOptions {
  /** Higher ones go first, and keep their KV blocks longer; default 0. No request is overtaken for ever. */
  readonly priority?: number;
  /** Adapter of the parameters; default: the model's. */
  readonly adapter?: string;
  /** Requests share what was computed only with those of the same salt: one for each user who must not learn of others. */
  readonly salt?: string;
  /** Progress of reading the prompt, in tokens. */
  readonly onProgress?: (progress: Progress) => void;
}

export const requestOptionTypes: OptionSchema<RequestOptions> = {
  priority: option.integer(),
  adapter: option.nonEmptyString,
  salt: option.string,
  onProgress: option.function,
};

/** Options of `Scheduler.generate`. */
export interface ScheduledOptions extends GenerateOptions, RequestOptions {}

export const scheduledOptionTypes: OptionSchema<ScheduledOptions> = { ...generateOptionTypes, ...requestOptionTypes };
