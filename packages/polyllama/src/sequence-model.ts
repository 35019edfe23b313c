// What a sequence goes by: the model that it belongs to, and what is asked of the tokens that it is to become.

import { ContextOverflowError, OptionError, PolyllamaError, type Program } from "@polyllama/core";
import { checkIds } from "./arguments.ts";
import type { ContinueOptions } from "./continue-options.ts";

/** How a sequence reaches its model. */
export interface SequenceModel {
  readonly program: Program;
  readonly vocabSize: number;
  /** Most rows in one run. An abort is heard between runs at the latest. */
  readonly chunk: number;
}

/** @throws {OptionError}; {@link ContextOverflowError} */
export function checkTokens(
  tokens: readonly number[],
  { vocabSize, capacity }: { readonly vocabSize: number; readonly capacity: number },
  where: string,
): void {
  checkIds(tokens, vocabSize, "tokens", where);
  if (tokens.length === 0) {
    const message = `${where}: there are no tokens; start with the tokenizer's BOS token.`;
    throw new OptionError(message, { option: "tokens", expected: "one token or more", value: tokens });
  }
  if (tokens.length > capacity) {
    throw new ContextOverflowError(
      tokens.length,
      capacity,
      "Shorten the prompt or load the model with a larger contextLength, if it was trained for one.",
    );
  }
}

export function inUse(): PolyllamaError {
  return new PolyllamaError("ERR_BUSY", "The sequence is in use; await that call, or fork the sequence before.");
}

export function runOptions({ signal }: ContinueOptions): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
