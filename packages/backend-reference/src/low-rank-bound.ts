// How far a backend may be off in what an adapter adds to a linear: x Aᵀ, a switch that takes the columns of the row's
// adapter and leaves those of others at 0, the product with scale B, and the sum with what the matrix gives. Columns of
// other adapters add exact zeros, so that their number does not matter.

import { openGate } from "@polyllama/core";
import type { LowRankMatrices } from "@polyllama/planner";
import { dotError, leastStep, type Rounding } from "./bounds.ts";
import { type Matrix, map, matrix } from "./matrix.ts";
import { linear } from "./ops/linear.ts";
import { swigluBound } from "./ops/swiglu.ts";

/**
 * x [N, K], y [N, M] the sum -> [N, M]. Of h = x Aᵀ [N, r] the error is that of a dot product and of the switch, a
 * swiglu of {@link openGate} and h; it is carried on by |scale B|, whose own rounding is one more of each product.
 */
export function lowRankBound(x: Matrix, y: Matrix, { a, b, rank, scale }: LowRankMatrices, rounding: Rounding): Matrix {
  const { unit } = rounding;
  const [K, least] = [x.width, leastStep(rounding)];
  const h = map(linear(x, a), Math.abs); // [N, r]
  const summed = linear(map(x, Math.abs), a.map(Math.abs)); // [N, r]
  const gates = { ...matrix(h.rows, h.width), data: new Float64Array(h.data.length).fill(openGate) };
  const switched = swigluBound(gates, h, rounding); // of openGate h
  const off = map(h, (size, i) => {
    const product = dotError(K) * unit * summed.data[i]! + K * least;
    return product + switched.data[i]! / openGate + unit * size;
  });
  const factors = Float64Array.from(b, (value) => Math.abs(scale * value)); // [M, r]
  const [carried, sizes] = [linear(off, factors), linear(h, factors)]; // [N, M]
  return map(y, (value, i) => {
    const row = Math.floor(i / y.width) * rank;
    const narrow = h.data.subarray(row, row + rank).reduce((sum, size) => sum + size, 0);
    const product = carried.data[i]! + dotError(rank) * unit * sizes.data[i]! + rank * least;
    return product + openGate * least * narrow + unit * Math.abs(value) + least; // a factor may be subnormal
  });
}
