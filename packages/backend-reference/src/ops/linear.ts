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
  const M = weight.length / K;
  const { unit, flushesSubnormals } = rounding;
  const bound = matrix(x.rows, M);
  for (let n = 0; n < x.rows; n++) {
    const from = row(x, n); // [K]
    const halfStep = new Float64Array(K);
    if (int8Block !== undefined) {
      for (let start = 0; start < K; start += int8Block) {
        const block = from.subarray(start, start + int8Block);
        halfStep.fill(
          block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 254,
          start,
          start + int8Block,
        );
      }
    }
    for (let m = 0; m < M; m++) {
      let magnitude = 0;
      let rounded = 0;
      for (let k = 0; k < K; k++) {
        const w = Math.abs(weight[m * K + k]!);
        magnitude += Math.abs(from[k]!) * w;
        rounded += halfStep[k]! * w;
      }
      const flushed = flushesSubnormals ? K * 2 ** -126 : 0;
      bound.data[n * M + m] = dotError(K) * unit * magnitude + rounded + flushed;
    }
  }
  return bound;
}
