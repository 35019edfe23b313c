// What softmax divides by, as a logarithm: of the scores of attention, and of logits.

import { dotError, type Rounding } from "./bounds.ts";

/**
 * log(sum of exp(scores)), and its error where each score is off by `scoreError` at most: exp and the sum, the logarithm
 * and the addition of the largest score follow.
 */
export function logSumExp(
  scores: Float64Array,
  scoreError: number,
  rounding: Rounding | undefined,
): { readonly value: number; readonly error: number } {
  let most = Number.NEGATIVE_INFINITY;
  for (const score of scores) most = Math.max(most, score);
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - most);
  const log = Math.log(sum);
  const value = most + log;
  if (rounding === undefined) return { value, error: 0 };
  const { unit, exp } = rounding;
  // The difference that is exponentiated is rounded, too; what is far below the largest counts for nothing.
  const relative = unit * (exp + dotError(scores.length) + 1);
  return { value, error: scoreError + relative + unit * (exp * (log + 1) + Math.abs(value)) };
}
