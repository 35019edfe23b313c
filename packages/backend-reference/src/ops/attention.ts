// softmax(q k^T / sqrt(d)) v, causal, with grouped queries, for the rows of one sequence.

import type { AttentionNode } from "@polyllama/core";
import { dotError, leastStep, type Rounding } from "../bounds.ts";
import type { Matrix } from "../matrix.ts";

/** All keys and values that a sequence has so far: [length, G d] each. */
export interface KeysAndValues {
  readonly k: Float64Array;
  readonly v: Float64Array;
}

/**
 * Writes `y` [N, H d] for rows `first` to `first + rows - 1` of q [N, H d], which stand at cache positions `start` and up.
 * With `rounding`, writes the error bound instead.
 */
export function attention(
  q: Matrix,
  { k, v }: KeysAndValues,
  { heads, kvHeads, headDim: d }: AttentionNode,
  { first, rows, start }: { readonly first: number; readonly rows: number; readonly start: number },
  y: Matrix,
  rounding?: Rounding,
): void {
  const group = heads / kvHeads;
  const stride = kvHeads * d;
  for (let n = 0; n < rows; n++) {
    const length = start + n + 1; // a row sees itself and all before it
    const p = new Float64Array(length);
    const scoreError = new Float64Array(length);
    for (let h = 0; h < heads; h++) {
      const query = (first + n) * q.width + h * d;
      const head = Math.floor(h / group) * d;
      let most = -Infinity;
      for (let t = 0; t < length; t++) {
        let dot = 0;
        let magnitude = 0;
        for (let i = 0; i < d; i++) {
          const product = q.data[query + i]! * k[t * stride + head + i]!;
          dot += product;
          magnitude += Math.abs(product);
        }
        p[t] = dot / Math.sqrt(d);
        most = Math.max(most, p[t]!);
        if (rounding) scoreError[t] = (rounding.unit * (dotError(d) * magnitude + 2 * Math.abs(dot))) / Math.sqrt(d);
      }
      let sum = 0;
      for (let t = 0; t < length; t++) {
        p[t] = Math.exp(p[t]! - most);
        sum += p[t]!;
      }
      const worstScore = rounding ? scoreError.reduce((a, b) => Math.max(a, b), 0) : 0;
      for (let i = 0; i < d; i++) {
        let value = 0;
        let magnitude = 0;
        for (let t = 0; t < length; t++) {
          const product = (p[t]! / sum) * v[t * stride + head + i]!;
          value += product;
          magnitude += Math.abs(product);
        }
        const at = (first + n) * y.width + h * d + i;
        y.data[at] = rounding
          ? magnitude * relativeError(worstScore, length, rounding) + 2 * length * leastStep(rounding)
          : value;
      }
    }
  }
}

/**
 * Relative error of the terms p v and their sum: an error e of a score turns into a factor exp(e), in the term and in the
 * sum that divides it; exp itself, the sum, the division and the weighted sum add theirs.
 */
function relativeError(worstScore: number, length: number, { unit, exp, division = 1 }: Rounding): number {
  return Math.expm1(2 * worstScore) + unit * (2 * exp + 2 * dotError(length) + 1 + division);
}
