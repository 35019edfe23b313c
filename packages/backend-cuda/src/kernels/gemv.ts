// Launches of gemv.cu: products for few rows, which read the weights once for up to eight of them.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import type { Norm } from "./rms_norm.ts";
import { type DeviceWeights, planeFields } from "./weights.ts";

const parameters = struct({
  ...planeFields,
  x: u64,
  y: u64,
  g: u64,
  residual: u64,
  K: u32,
  M: u32,
  N: u32,
  first: u32,
  pitch: u32,
  up: u32,
  x_stride: u32,
  y_stride: u32,
  residual_stride: u32,
  eps: f32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** What is computed along with the product. */
export interface GemvFusion {
  readonly norm?: Norm | undefined;
  readonly residual?: DeviceRows | undefined;
  /** First row of the other matrix of swiglu. */
  readonly up?: number | undefined;
}

/** y = x W^T. */
export function gemv(
  rows: number,
  x: DeviceRows,
  weights: DeviceWeights,
  y: DeviceRows,
  { norm, residual, up }: GemvFusion,
): Launch {
  const n = rows > 4 ? 8 : rows > 1 ? 4 : 1;
  // Of a block: 4 warps times the kernel's ROWS.
  const outputs = up === undefined ? (n === 8 ? 8 : 16) : n === 1 ? 8 : 4;
  return {
    image: `gemv_${weights.format}`,
    kernel: up === undefined ? `gemv_${n}` : `gemv_swiglu_${n}`,
    grid: [Math.ceil(y.width / outputs), Math.ceil(rows / n), 1],
    threads: 128,
    parameters: parameters.encode({
      ...weights.planes,
      x: x.address,
      y: y.address,
      g: norm?.weight ?? 0n,
      residual: residual?.address ?? 0n,
      K: weights.columns,
      M: y.width,
      N: rows,
      first: weights.first,
      pitch: weights.pitch,
      up: up === undefined ? 0 : (up - weights.first) >>> 0, // rows from one to the other; added modulo 2^32
      x_stride: x.stride,
      y_stride: y.stride,
      residual_stride: residual?.stride ?? 0,
      eps: norm?.eps ?? 0,
    }),
  };
}
