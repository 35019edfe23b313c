// The tokens that logits choose. Two correct backends must choose the same one wherever the choice is not a matter of
// rounding.

import type { RealArray, Tensor } from "@polyllama/core";
import { leastDecided, margin } from "./constants.ts";
import type { Tolerance } from "./tolerance.ts";

/** Most probable tokens of a backend beside the reference's. */
export interface Choices {
  readonly rows: number;
  /** Rows where both most probable tokens are the same. */
  readonly same: number;
  /** Rows where the reference's two largest logits are so far apart that rounding cannot exchange them. */
  readonly decided: number;
  /** The first of these where the backend's most probable token is another one. */
  readonly wrong: number | undefined;
}

/** The most probable token of every row, beside that of the exact logits [N, V]. */
export function compareChoices(logits: Tensor, { exact, perRow }: Tolerance): Choices {
  const [rows, width] = exact.shape;
  let same = 0;
  let decided = 0;
  let wrong: number | undefined;
  for (let n = 0; n < rows; n++) {
    const row = exact.data.subarray(n * width, (n + 1) * width); // [V]
    const [best, second] = twoLargest(row);
    const [own] = twoLargest(logits.data.subarray(n * width, (n + 1) * width));
    if (own === best) same++;
    if (!(row[best]! - (row[second] ?? -Infinity) > margin * perRow[n]!)) continue;
    decided++;
    if (own !== best) wrong ??= n;
  }
  return { rows, same, decided, wrong };
}

/** Why too little was decided for the comparison to say something, on a model whose linears take inputs in f32. */
export function tooFewDecided({ rows, decided }: Choices): string | undefined {
  if (decided >= leastDecided * rows) return undefined;
  return (
    `the most probable token is beyond rounding in only ${decided} of ${rows} rows, less than ${leastDecided * 100} %; ` +
    "a text of the kind that the model was trained on decides more"
  );
}

/**
 * Ids of the largest logit and of the second one, of equal ones the lower id; -1 where there is none. NaN is never one
 * of them.
 */
function twoLargest(logits: RealArray): readonly [number, number] {
  let [first, second] = [-1, -1];
  for (const [id, logit] of logits.entries()) {
    if (Number.isNaN(logit)) continue;
    if (first < 0 || logit > logits[first]!) [first, second] = [id, first];
    else if (second < 0 || logit > logits[second]!) second = id;
  }
  return [first, second];
}
