// Launches of input_grad.cu: gradients of linears by their inputs.

import { struct, u32, u64 } from "@polyllama/planner";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type DeviceWeights, planeFields } from "./weights.ts";

const parameters = struct({
  ...planeFields,
  cotangent: u64,
  y: u64,
  residual: u64,
  K: u32,
  M: u32,
  N: u32,
  first: u32,
  pitch: u32,
  cotangent_stride: u32,
  y_stride: u32,
  residual_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/**
 * y [N, K] = cotangent [N, M] W, plus a residual where one is given, which may be y.
 *
 * @param weights M rows of it are meant.
 */
export function inputGrad(
  rows: number,
  cotangent: DeviceRows,
  weights: DeviceWeights,
  y: DeviceRows,
  residual: DeviceRows | undefined,
): Launch {
  return {
    image: `input_grad_${weights.format}`,
    kernel: "input_grad",
    grid: [Math.ceil(weights.columns / 64), Math.ceil(rows / 64), 1],
    threads: 256,
    parameters: parameters.encode({
      ...weights.planes,
      cotangent: cotangent.address,
      y: y.address,
      residual: residual?.address ?? 0n,
      K: weights.columns,
      M: cotangent.width,
      N: rows,
      first: weights.first,
      pitch: weights.pitch,
      cotangent_stride: cotangent.stride,
      y_stride: y.stride,
      residual_stride: residual?.stride ?? 0,
    }),
  };
}
