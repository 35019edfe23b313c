// A whole answer, gathered from its stream; and what is there of it when it is aborted.

import { PolyllamaError } from "@polyllama/core";
import type { Piece } from "./generation/generate.ts";

/** A whole answer. */
export interface Completion {
  readonly text: string;
  /** Tokens that were generated, the end or stop token included. */
  readonly ids: readonly number[];
  readonly promptIds: readonly number[];
  readonly finish: Piece["finish"];
}

/**
 * A completion was aborted after its first token. `cause` is the signal's reason, and `name` the reason's own:
 * "AbortError", or "TimeoutError" for `AbortSignal.timeout`.
 */
export class AbortError extends PolyllamaError {
  override readonly name: string;
  /** What was generated until then; without `finish`. */
  readonly partial: Completion;

  constructor(reason: unknown, partial: Completion) {
    const { name, message } = reason instanceof Error ? reason : { name: "AbortError", message: String(reason) };
    super("ERR_ABORTED", message, { cause: reason });
    this.name = name === "Error" ? "AbortError" : name;
    this.partial = partial;
  }
}

/**
 * @throws {AbortError} when the signal aborts after the first token; before it, as a stream does, the signal's reason.
 */
export async function gather(
  pieces: AsyncIterable<Piece>,
  promptIds: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Completion> {
  let text = "";
  let finish: Piece["finish"];
  const ids: number[] = [];
  try {
    for await (const piece of pieces) {
      text += piece.text;
      ids.push(piece.id);
      finish = piece.finish;
    }
  } catch (error) {
    if (signal?.aborted !== true || error !== signal.reason || ids.length === 0) throw error;
    throw new AbortError(error, { text, ids, promptIds, finish: undefined });
  }
  return { text, ids, promptIds, finish };
}
