// What a sequence goes by: the model that it belongs to, and what is asked of the tokens that it is to become.

import { ContextOverflowError, OptionError, PolyllamaError } from "@polyllama/core";
import type { Device, Parameters, Program } from "@polyllama/core/device";
import { checkIds } from "./arguments.ts";
import type { SequencePools } from "./sequence-pools.ts";

/** How a sequence reaches its model. */
export interface SequenceModel {
  readonly device: Device;
  readonly parameters: Parameters;
  readonly program: Program;
  readonly pools: SequencePools;
  /** Aborted, with what is to be thrown, when the model is disposed. */
  readonly end: AbortController;
  readonly vocabSize: number;
  /** Adapter of the parameters that all sequences name. */
  readonly adapter?: string | undefined;
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

export function modelDisposed(): PolyllamaError {
  return new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
}

export function inUse(): PolyllamaError {
  return new PolyllamaError("ERR_BUSY", "The sequence is in use; await that call, or fork the sequence before.");
}

export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
