// log(sum over the keys of exp(q k / sqrt(d))), for each row and head: what the weights of attention are divided by.

import type { Heads } from "@polyllama/core";
import type { Attended } from "@polyllama/planner";
import { dotError, type Rounding } from "../bounds.ts";
import { logSumExp } from "../log-sum-exp.ts";
import { type Matrix, matrix } from "../matrix.ts";
import type { Evaluated } from "./evaluator.ts";

/** q [N, H d] -> [N, H] */
export function attentionLogSumExp(q: Matrix, attended: readonly Attended<Float64Array>[], heads: Heads): Evaluated {
  const compute = (rounding?: Rounding): Matrix => {
    const y = matrix(q.rows, heads.heads);
    for (const sequence of attended) logSumExps(q, sequence, heads, y, rounding);
    return y;
  };
  return { exact: () => compute(), bound: compute };
}

/**
 * Writes the rows of a sequence, or with `rounding` their error bounds: errors of scores move the result by no more than
 * the largest of them; exp and the sum are relative to the sum, so that its logarithm moves by as much.
 */
function logSumExps(
  q: Matrix,
  { first, rows, start, past: { k } }: Attended<Float64Array>,
  { heads, kvHeads, headDim: d }: Heads,
  y: Matrix,
  rounding: Rounding | undefined,
): void {
  const stride = kvHeads * d;
  for (let n = 0; n < rows; n++) {
    for (let h = 0; h < heads; h++) {
      const [query, head] = [(first + n) * q.width + h * d, Math.floor((h * kvHeads) / heads) * d];
      const scores = new Float64Array(start + n + 1);
      let worst = 0;
      for (let t = 0; t < scores.length; t++) {
        let [dot, size] = [0, 0];
        for (let i = 0; i < d; i++) {
          const product = q.data[query + i]! * k[t * stride + head + i]!;
          dot += product;
          size += Math.abs(product);
        }
        scores[t] = dot / Math.sqrt(d);
        if (rounding)
          worst = Math.max(worst, (rounding.unit * (dotError(d) * size + 2 * Math.abs(dot))) / Math.sqrt(d));
      }
      const { value, error } = logSumExp(scores, worst, rounding);
      y.data[(first + n) * heads + h] = rounding === undefined ? value : error;
    }
  }
}
