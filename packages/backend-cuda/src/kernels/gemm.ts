// Launches of gemm.cu: products for many rows in f32.

import { struct, u32, u64 } from "@polyllama/planner";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type DeviceWeights, planeFields } from "./weights.ts";

const parameters = struct({
  ...planeFields,
  x: u64,
  y: u64,
  residual: u64,
  K: u32,
  M: u32,
  N: u32,
  first: u32,
  pitch: u32,
  x_stride: u32,
  y_stride: u32,
  residual_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** y = x W^T, plus a residual where one is given. */
export function gemm(
  rows: number,
  x: DeviceRows,
  weights: DeviceWeights,
  y: DeviceRows,
  residual: DeviceRows | undefined,
): Launch {
  return {
    image: `gemm_${weights.format}`,
    kernel: "gemm",
    grid: [Math.ceil(y.width / 64), Math.ceil(rows / 64), 1],
    threads: 256,
    parameters: parameters.encode({
      ...weights.planes,
      x: x.address,
      y: y.address,
      residual: residual?.address ?? 0n,
      K: weights.columns,
      M: y.width,
      N: rows,
      first: weights.first,
      pitch: weights.pitch,
      x_stride: x.stride,
      y_stride: y.stride,
      residual_stride: residual?.stride ?? 0,
    }),
  };
}
