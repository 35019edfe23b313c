// y = a + b

import { leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";

/** a, b [N, D] -> [N, D] */
export function add(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value + b.data[i]!) };
}

/** One rounding. */
export function addBound(y: Matrix, rounding: Rounding): Matrix {
  return map(y, (value) => Math.abs(value) * rounding.unit + leastStep(rounding));
}
