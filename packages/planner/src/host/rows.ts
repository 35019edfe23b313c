// Values of a graph in the host's memory: rows of f32 or float64, as the backend that computes them keeps numbers.

import type { RealArray } from "@polyllama/core";
import type { ComputedRows } from "./outputs.ts";

/** Rows of a value. */
export interface HostRows<Reals extends RealArray> {
  /** N */
  readonly rows: number;
  readonly width: number;
  /** [N, width], row after row. */
  readonly data: Reals;
}

/** What makes arrays of numbers: `Float32Array` or `Float64Array`. */
export interface Arrays<Reals extends RealArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): Reals;
  /** An array of the given values, rounded to its elements. */
  from(values: ArrayLike<number>): Reals;
}

/** The given rows, copied, in the given order [rows, width]. */
export function takeRows<Reals extends RealArray>(
  arrays: Arrays<Reals>,
  { width, data }: HostRows<RealArray>,
  rows: readonly number[],
): Reals {
  const taken = new arrays(rows.length * width);
  for (const [i, n] of rows.entries()) taken.set(data.subarray(n * width, (n + 1) * width), i * width);
  return taken;
}

/** A value as outputs take it. */
export function computedRows<Reals extends RealArray>(arrays: Arrays<Reals>, value: HostRows<Reals>): ComputedRows {
  const { width, data } = value;
  return {
    width,
    row: (n) => data.subarray(n * width, (n + 1) * width),
    take: (rows) => takeRows(arrays, value, rows),
  };
}
