// The options of a sequence's method: their type, and the description that it is checked against.

import { type OptionSchema, option, type Progress } from "@polyllama/core";

/** Options of `Sequence.continueTo`. */
export interface ContinueOptions {
  readonly signal?: AbortSignal;
  /** Tokens read so far, of those that are new. */
  readonly onProgress?: (progress: Progress) => void;
}

export const continueOptionTypes: OptionSchema<ContinueOptions> = {
  signal: option.signal,
  onProgress: option.function,
};
