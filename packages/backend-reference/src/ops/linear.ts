// y = x weight^T

import { dotError, type Rounding } from "../bounds.ts";
import { type Matrix, matrix, row } from "../matrix.ts";

/** x [N, K], weight [M, K] -> [N, M] */
export function linear(x: Matrix, weight: Float32Array): Matrix {
  const K = x.width;
  const M = weight.length / K;
  const y = matrix(x.rows, M);
  for (let m = 0; m < M; m++) {
    const w = weight.subarray(m * K, (m + 1) * K);
    for (let n = 0; n < x.rows; n++) {
      const from = n * K;
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x.data[from + k]! * w[k]!;
      y.data[n * M + m] = sum;
    }
  }
  return y;
}

/**
 * A dot product's error, and half a step for every input that is rounded to int8 first (step = largest magnitude of
 * its block / 127).
 */
export function linearBound(
  x: Matrix,
  weight: Float32Array,
  rounding: Rounding,
  int8Block: number | undefined,
): Matrix {
  const K = x.width;
  const { unit, flushesSubnormals } = rounding;
  const magnitudes = weight.map(Math.abs);
  const sums = linear({ ...x, data: x.data.map(Math.abs) }, magnitudes); // [N, M]
  const flushed = flushesSubnormals ? K * 2 ** -126 : 0;
  const bound = sums.data.map((sum) => dotError(K) * unit * sum + flushed);
  if (int8Block !== undefined) {
    const rounded = linear(halfSteps(x, int8Block), magnitudes); // [N, M]
    rounded.data.forEach((error, i) => {
      bound[i]! += error;
    });
  }
  return { ...sums, data: bound };
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
