// y = x / sqrt(mean(x^2) + eps) * weight

import type { RealArray, RmsNormNode } from "@polyllama/core";
import { dotError, leastStep, operandStep, type Rounding } from "../bounds.ts";
import { type Matrix, map, matrix, row } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateRmsNorm({ x: name, weight: scales, eps }: RmsNormNode, { value, weight }: Operands): Evaluated {
  const [x, w] = [value(name), weight(scales).values];
  const y = rmsNorm(x, w, eps);
  return { exact: () => y, bound: (rounding) => rmsNormBound(y, x, w, eps, rounding) };
}

/** x [N, D], weight [D] -> [N, D] */
function rmsNorm(x: Matrix, weight: RealArray, eps: number): Matrix {
  const y = matrix(x.rows, x.width);
  for (let n = 0; n < x.rows; n++) {
    const from = row(x, n); // [D]
    const to = row(y, n); // [D]
    let squares = 0;
    for (const value of from) squares += value * value;
    const scale = 1 / Math.sqrt(squares / x.width + eps);
    for (let i = 0; i < x.width; i++) to[i] = from[i]! * scale * weight[i]!;
  }
  return y;
}

/**
 * The sum of squares has the error of a dot product, halved by the root, as have the mean's division and the addition
 * of epsilon; the reciprocal root and two products follow. Squares
 * that underflow leave the mean short by less than the format's least step, beside an epsilon that is far larger. An
 * operand that is flushed leaves what the others would have made of it.
 */
function rmsNormBound(y: Matrix, x: Matrix, weight: RealArray, eps: number, rounding: Rounding): Matrix {
  const { unit, division = 1, inverseSqrt = 2 } = rounding;
  const relative = (dotError(y.width) / 2 + (division + 1) / 2 + inverseSqrt + 2) * unit;
  const flushed = operandStep(rounding);
  const largestScale = 1 / Math.sqrt(eps);
  return map(y, (value, i) => {
    const w = Math.abs(weight[i % y.width]!);
    const operands = flushed === 0 ? 0 : flushed * (largestScale * (w + Math.abs(x.data[i]!) + 1) + w);
    return Math.abs(value) * relative + 2 * leastStep(rounding) + operands;
  });
}
