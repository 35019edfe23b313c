// Memory for attention over long sequences: parts of their keys are computed apart, and joined by a step of its own.

import type { Plan } from "@polyllama/planner";
import { partKeys, splitRows } from "../native/structs.ts";

/** Rows of one sequence in a run, and the keys that the last of them sees. */
interface SequenceRows {
  readonly rows: number;
  readonly keys: number;
}

/**
 * Words that the library's `attention` leaves to `combine`: for each row of sequences with few rows, each part of its
 * keys and each head, d values in lines of 16, and 16 more. Attentions use the same memory in turn.
 */
export function partialWords({ attentions }: Pick<Plan, "attentions">, sequences: readonly SequenceRows[]): number {
  const ofHeads = attentions.map(({ heads, headDim }) => heads * (16 * Math.ceil(headDim / 16) + 16));
  const parts = sequences.map(({ rows, keys }) =>
    rows <= splitRows && keys > partKeys ? rows * Math.ceil(keys / partKeys) : 0,
  );
  return Math.max(0, ...ofHeads) * parts.reduce((sum, count) => sum + count, 0);
}
