// How far tensor cores may be from a linear's exact result, beyond f32 sums: docs/tolerances.md has the derivation. Three parts, for
// inputs that are rounded, weights that are rounded, and sums that are cut off instead of rounded.

import type { TensorCoreRounding } from "@polyllama/core";
import { type Matrix, matrix, row } from "./matrix.ts";
import type { LoadedWeight } from "./ops/linear.ts";

/** x [N, K], weight [M, K] -> [N, M] */
export function tensorCoreError(x: Matrix, { info, values }: LoadedWeight, rounding: TensorCoreRounding): Matrix {
  const K = x.width;
  const M = values.length / K;
  const { unit, least } = rounding;
  const bound = matrix(x.rows, M);
  const weightUnit = rounding.roundedWeights.includes(info.format) ? unit : 0;
  const inputs = Array.from({ length: x.rows }, (_, n) => {
    const from = row(x, n); // [K]
    const floor = least * largest(from);
    return { from, steps: from.map((value) => unit * Math.abs(value) + floor) }; // [K]
  });
  for (let m = 0; m < M; m++) {
    const w = values.subarray(m * K, (m + 1) * K);
    const repeated = groups(w);
    const floor = least * largest(w);
    const errors = repeated.values.map((value) => (weightUnit * Math.abs(value) + floor) * (1 + unit)); // of a group's weight
    for (const [n, { from, steps }] of inputs.entries()) {
      const rounded = independent(w, steps) + groupedError(repeated.of, errors, from);
      bound.data[n * M + m] = rounded + truncationError(w, from, rounding);
    }
  }
  return bound;
}

function largest(values: Float32Array | Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** Errors that are independent of each other: min(6 sqrt(sum e^2), sum e), as of sums. */
function hoeffding(squares: number, sum: number): number {
  return Math.min(6 * Math.sqrt(squares), sum);
}

/** Inputs that are off by a step each. */
function independent(w: Float32Array, steps: Float64Array): number {
  let [squares, sum] = [0, 0];
  for (let k = 0; k < w.length; k++) {
    const e = Math.abs(w[k]!) * steps[k]!;
    squares += e * e;
    sum += e;
  }
  return hoeffding(squares, sum);
}

/** Equal weights of a row, as a block of few levels has them, are rounded alike. */
function groups(w: Float32Array): { readonly of: Int32Array; readonly values: Float64Array } {
  const numbers = new Map<number, number>();
  const of = new Int32Array(w.length);
  for (const [k, value] of w.entries()) {
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    of[k] = number;
  }
  return { of, values: Float64Array.from(numbers.keys()) };
}

/** The error of each group's weight meets the sum of the group's inputs. */
function groupedError(of: Int32Array, errors: Float64Array, x: Float64Array): number {
  const sums = new Float64Array(errors.length);
  for (let k = 0; k < x.length; k++) sums[of[k]!]! += x[k]!;
  let [squares, sum] = [0, 0];
  for (let g = 0; g < sums.length; g++) {
    const e = Math.abs(sums[g]!) * errors[g]!;
    squares += e * e;
    sum += e;
  }
  return hoeffding(squares, sum);
}

/**
 * What is cut off: within a run of columns, whatever their order, no addend and no sum exceeds the sum before the run and all of the
 * run's products, and each group of products loses a step of that for each of them, for the sum before, and for the sum behind.
 */
function truncationError(w: Float32Array, x: Float64Array, { unit, truncation }: TensorCoreRounding): number {
  const { group, columns } = truncation;
  let error = 0;
  let sum = 0;
  let sizes = 0;
  for (let start = 0; start < w.length; start += columns) {
    const end = Math.min(w.length, start + columns);
    let [part, size] = [0, 0];
    for (let k = start; k < end; k++) {
      const product = w[k]! * x[k]!;
      part += product;
      size += Math.abs(product);
    }
    sizes += size;
    // Rounded operands make products, and what is summed of them, larger by (1 + unit)^2 - 1 < 3 unit.
    const most = Math.abs(sum) + size + 3 * unit * sizes;
    error += Math.ceil((end - start) / group) * (group + 2) * truncation.unit * most;
    sum += part;
  }
  return error;
}
