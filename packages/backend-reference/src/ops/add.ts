// y = a + b

import { leastStep, operandStep, type Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";

/** a, b [N, D] -> [N, D] */
export function add(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value + b.data[i]!) };
}

/** One rounding, of operands that may have been flushed. */
export function addBound(y: Matrix, rounding: Rounding): Matrix {
  const absolute = leastStep(rounding) + 2 * operandStep(rounding);
  return map(y, (value) => Math.abs(value) * rounding.unit + absolute);
}
