// How far tensor cores may be from a linear's exact result, beyond f32 sums: docs/tolerances.md has the derivation.
// Three parts, for inputs that are rounded, weights that are rounded, and sums that are cut off instead of rounded.

import type { SumTruncation, TensorCoreRounding } from "@polyllama/core";
import type { LoadedWeight } from "./loaded-weight.ts";
import { type Matrix, matrix, row } from "./matrix.ts";

/** x [N, K], weight [M, K] -> [N, M] */
export function tensorCoreError(x: Matrix, weight: LoadedWeight, rounding: TensorCoreRounding): Matrix {
  const { info } = weight;
  const values = weight.values instanceof Float32Array ? weight.values : Float32Array.from(weight.values);
  const K = x.width;
  const M = values.length / K;
  const { unit, least } = rounding;
  const bound = matrix(x.rows, M);
  const rounds = rounding.roundedWeights.includes(info.format);
  const group = grouping(K);
  const inputs = Array.from({ length: x.rows }, (_, n) => {
    const from = row(x, n); // [K]
    const floor = least * largest(from);
    const size = from.reduce((sum, value) => sum + Math.abs(value), 0);
    return { from, size, steps: from.map((value) => unit * Math.abs(value) + floor) }; // [K]
  });
  for (let m = 0; m < M; m++) {
    const w = values.subarray(m * K, (m + 1) * K);
    const floor = least * largest(w) * (1 + unit);
    const repeated = rounds ? group(w) : undefined;
    const errors = repeated?.values.map((value) => unit * Math.abs(value) * (1 + unit) + floor); // of a group's weight
    for (const [n, { from, size, steps }] of inputs.entries()) {
      const ofWeights = repeated === undefined ? floor * size : groupedError(repeated.of, errors!, from);
      bound.data[n * M + m] = ofWeights + productError(w, from, steps, rounding);
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
export function hoeffding(squares: number, sum: number): number {
  return Math.min(6 * Math.sqrt(squares), sum);
}

/**
 * Makes a function that numbers the different values of a row. Equal weights, of which a block of few levels has many,
 * are rounded alike. Rows have thousands of values and models millions of rows: the table of hashes is made once, and
 * never emptied.
 */
function grouping(K: number): (w: Float32Array) => { readonly of: Int32Array; readonly values: Float64Array } {
  const size = 2 ** Math.ceil(Math.log2(2 * K));
  const rows = new Uint32Array(size); // in which row an entry was made
  const keys = new Uint32Array(size);
  const numbers = new Int32Array(size);
  const of = new Int32Array(K);
  const values = new Float64Array(K);
  let current = 0;
  return (w) => {
    current++;
    const bits = new Uint32Array(w.buffer, w.byteOffset, K);
    let count = 0;
    for (let k = 0; k < K; k++) {
      const key = bits[k]!;
      let at = (Math.imul(key, 0x9e3779b1) >>> 8) & (size - 1);
      while (rows[at] === current && keys[at] !== key) at = (at + 1) & (size - 1);
      if (rows[at] !== current) {
        rows[at] = current;
        keys[at] = key;
        numbers[at] = count;
        values[count++] = w[k]!;
      }
      of[k] = numbers[at]!;
    }
    return { of, values: values.subarray(0, count) };
  };
}

/** The error of each group's weight meets the sum of the group's inputs. */
function groupedError(of: Int32Array, errors: Float64Array, x: Float64Array): number {
  const sums = new Float64Array(errors.length);
  for (let k = 0; k < x.length; k++) sums[of[k]!]! += x[k]!;
  let squares = 0;
  let sum = 0;
  for (let g = 0; g < sums.length; g++) {
    const e = Math.abs(sums[g]!) * errors[g]!;
    squares += e * e;
    sum += e;
  }
  return hoeffding(squares, sum);
}

/** Inputs that are off by a step each, and what is cut off. */
function productError(
  w: Float32Array,
  x: Float64Array,
  steps: Float64Array,
  { unit, truncation }: TensorCoreRounding,
): number {
  let squares = 0;
  let errors = 0;
  for (let k = 0; k < w.length; k++) {
    const error = w[k]! * steps[k]!;
    squares += error * error;
    errors += Math.abs(error);
  }
  return hoeffding(squares, errors) + cutError(w, x, unit, truncation);
}

/**
 * What is cut off: within a run of columns, whatever their order, no addend and no sum exceeds the sum before the run
 * and all of the run's products, and each group of products loses a step of that for each of them, for the sum before,
 * and for the sum behind.
 *
 * @param unit Unit roundoff of both operands.
 * @param least The least step there is.
 */
export function cutError(
  w: Float32Array | Float64Array,
  x: Float64Array,
  unit: number,
  truncation: SumTruncation,
  least = 0,
): number {
  const { group, columns } = truncation;
  let cut = 0;
  let sum = 0;
  let sizes = 0;
  for (let start = 0; start < w.length; start += columns) {
    const end = Math.min(w.length, start + columns);
    let part = 0;
    let size = 0;
    for (let k = start; k < end; k++) {
      const product = w[k]! * x[k]!;
      part += product;
      size += Math.abs(product);
    }
    sizes += size;
    // Rounded operands make products, and what is summed of them, larger by (1 + unit)^2 - 1 < 3 unit.
    const most = Math.abs(sum) + size + 3 * unit * sizes;
    cut += Math.ceil((end - start) / group) * (group + 2) * Math.max(truncation.unit * most, least);
    sum += part;
  }
  return cut;
}
