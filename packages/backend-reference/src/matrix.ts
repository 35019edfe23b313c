// A value of the graph while it is computed: rows of float64.

import type { HostRows } from "@polyllama/planner";

/** [N, width] */
export type Matrix = HostRows<Float64Array>;

export function matrix(rows: number, width: number): Matrix {
  return { rows, width, data: new Float64Array(rows * width) };
}

/** A view of one row. */
export function row({ data, width }: Matrix, n: number): Float64Array {
  return data.subarray(n * width, (n + 1) * width);
}

/** A new matrix of a function of every element. */
export function map(x: Matrix, change: (value: number, index: number) => number): Matrix {
  return { ...x, data: x.data.map(change) };
}

/** Adds other elements of the same shape to those of x, and returns x. */
export function add(x: Matrix, other: Matrix): Matrix {
  for (let i = 0; i < x.data.length; i++) x.data[i]! += other.data[i]!; // one for each
  return x;
}

export function transpose(x: Matrix): Matrix {
  const y = matrix(x.width, x.rows);
  for (let n = 0; n < x.rows; n++) {
    for (let k = 0; k < x.width; k++) y.data[k * x.rows + n] = x.data[n * x.width + k]!;
  }
  return y;
}
