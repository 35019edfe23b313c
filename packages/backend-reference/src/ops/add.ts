// y = a + b

import type { Rounding } from "../bounds.ts";
import type { Matrix } from "../matrix.ts";

/** a, b [N, D] -> [N, D] */
export function add(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value + b.data[i]!) };
}

/** One rounding. */
export function addBound(y: Matrix, { unit }: Rounding): Matrix {
  return { ...y, data: y.data.map((value) => Math.abs(value) * unit) };
}
