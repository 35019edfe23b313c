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
