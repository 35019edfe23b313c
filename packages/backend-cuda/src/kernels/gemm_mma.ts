// Launches of gemm_mma.cu: products for many rows on tensor cores, and the exponents of rows of weights that these
// need.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type DeviceWeights, planeFields } from "./weights.ts";

const parameters = struct({
  ...planeFields,
  exponents: u64,
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
const exponentParameters = struct({ ...planeFields, exponents: u64, rows: u32, K: u32, pitch: u32 });
export const structs: KernelStructs = { Parameters: parameters };
export const exponentStructs: KernelStructs = { ExponentParameters: exponentParameters };

/**
 * y = x W^T, plus a residual where one is given.
 *
 * @param x As round_rows.cu leaves it.
 * @param exponents Of the rows of the whole matrix, i32; 0 for f16.
 */
export function gemmMma(
  rows: number,
  x: DeviceRows,
  weights: DeviceWeights,
  exponents: Handle,
  y: DeviceRows,
  residual: DeviceRows | undefined,
): Launch {
  const [tile, outputs] = rows > 64 ? [128, 128] : [32, 64];
  return {
    image: `gemm_mma_${weights.format}`,
    kernel: `gemm_mma_${tile}`,
    grid: [Math.ceil(rows / tile), Math.ceil(y.width / outputs), 1],
    threads: 128,
    parameters: parameters.encode({
      ...weights.planes,
      exponents,
      x: x.address,
      y: y.address,
      residual: residual?.address ?? 0n,
      K: weights.columns,
      M: y.width,
      N: rows,
      first: weights.first,
      pitch: weights.pitch,
      x_stride: 2 * x.stride, // in f16
      y_stride: y.stride,
      residual_stride: residual?.stride ?? 0,
    }),
  };
}

/** Finds the exponents of a matrix's rows. */
export function rowExponents(
  rows: number,
  { format, planes, columns, pitch }: DeviceWeights,
  exponents: Handle,
): Launch {
  return {
    image: `gemm_mma_${format}`,
    kernel: "row_exponents",
    grid: [Math.ceil(rows / 4), 1, 1],
    threads: 128,
    parameters: exponentParameters.encode({ ...planes, exponents, rows, K: columns, pitch }),
  };
}
