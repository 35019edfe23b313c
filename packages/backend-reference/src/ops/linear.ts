// y = x weight^T

import type { LinearNode, RealArray } from "@polyllama/core";
import { dotError, leastStep, type Rounding } from "../bounds.ts";
import type { LoadedWeight } from "../loaded-weight.ts";
import { magnitudes } from "../magnitudes.ts";
import { add, type Matrix, map, matrix, row } from "../matrix.ts";
import { productsWith, roundedProductError, rowsOf } from "../rounded-products.ts";
import { tensorCoreError } from "../tensor-cores.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateLinear(node: LinearNode, { value, weight, adapt, adaptBound, trains }: Operands): Evaluated {
  const [x, w] = [value(node.x), weight(node.weight)];
  return {
    exact: () => adapt(node.weight, x, linear(x, w.values)),
    bound: (rounding) => adaptBound(node.weight, x, linearBound(x, w, rounding, trains), rounding),
  };
}

/** x [N, K], weight [M, K] -> [N, M] */
export function linear(x: Matrix, weight: RealArray): Matrix {
  const K = x.width;
  const M = weight.length / K;
  const y = matrix(x.rows, M);
  for (let m = 0; m < M; m++) {
    const w = weight.subarray(m * K, (m + 1) * K);
    for (let n = 0; n < x.rows; n++) {
      const from = n * K;
      y.data[n * M + m] = dot(x.data, from, w);
    }
  }
  return y;
}

/** Four sums at once, since each has to wait for itself. */
function dot(x: Float64Array, from: number, w: RealArray): number {
  const K = w.length;
  let [a, b, c, d] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 3 < K; k += 4) {
    a += x[from + k]! * w[k]!;
    b += x[from + k + 1]! * w[k + 1]!;
    c += x[from + k + 2]! * w[k + 2]!;
    d += x[from + k + 3]! * w[k + 3]!;
  }
  for (; k < K; k++) a += x[from + k]! * w[k]!;
  return a + b + c + d;
}

/**
 * A dot product's error, and the error of inputs that are rounded to int8 first: half a step each, where a step is the
 * largest magnitude of the input's block / 127. These roundings are independent, so that their sum is held to
 * min(6 sqrt(sum e^2), sum e) over the k terms e = |weight| step / 2, as in {@link dotError}.
 */
function linearBound(x: Matrix, weight: LoadedWeight, rounding: Rounding, trains: boolean): Matrix {
  const K = x.width;
  const { unit, int8Activations, tensorCores } = rounding;
  const products = trains ? productsWith(weight, rounding) : undefined;
  const { summed, rounded } = magnitudes(weight, rounding);
  const sums = linear(map(x, Math.abs), summed); // [N, M]
  const bound = map(sums, (sum) => dotError(K) * unit * sum + K * leastStep(rounding));
  if (products !== undefined) return add(bound, roundedProductError(x, rowsOf(weight, K), products));
  if (tensorCores?.formats.includes(weight.info.format) && x.rows >= tensorCores.fromRows) {
    add(bound, tensorCoreError(x, weight, tensorCores));
  }
  if (!int8Activations?.formats.includes(weight.info.format)) return bound;
  const halves = halfSteps(x, int8Activations.block);
  const linearSums = linear(halves, rounded); // [N, M]
  const squares = linear(
    map(halves, (e) => e * e),
    rounded.map((w) => w * w),
  ); // [N, M]
  bound.data.forEach((_, i) => {
    bound.data[i]! += Math.min(6 * Math.sqrt(squares.data[i]!), linearSums.data[i]!);
  });
  return bound;
}

/** Half of the int8 step of the block that each element is in. */
function halfSteps(x: Matrix, block: number): Matrix {
  const steps = matrix(x.rows, x.width);
  for (let n = 0; n < x.rows; n++) {
    const from = row(x, n); // [K]
    for (let start = 0; start < x.width; start += block) {
      const most = from.subarray(start, start + block).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      row(steps, n).fill(most / 254, start, start + block);
    }
  }
  return steps;
}
