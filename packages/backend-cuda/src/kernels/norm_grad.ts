// Launches of norm_grad.cu.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import type { Norm } from "./rms_norm.ts";

const parameters = struct({
  x: u64,
  cotangent: u64,
  g: u64,
  inverses: u64,
  y: u64,
  residual: u64,
  width: u32,
  x_stride: u32,
  cotangent_stride: u32,
  y_stride: u32,
  residual_stride: u32,
  eps: f32,
});
const weightParameters = struct({
  x: u64,
  cotangent: u64,
  inverses: u64,
  y: u64,
  residual: u64,
  rows: u32,
  width: u32,
  x_stride: u32,
  cotangent_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters, WeightParameters: weightParameters };

/** What both gradients are computed from: [N, D] each, and f32 [N] that the first leaves for the second. */
export interface NormGradInputs {
  readonly x: DeviceRows;
  readonly cotangent: DeviceRows;
  readonly inverses: Handle;
}

/** By the input. */
export function normGrad(
  rows: number,
  { x, cotangent, inverses }: NormGradInputs,
  { weight, eps }: Norm,
  y: DeviceRows,
  residual: DeviceRows | undefined,
): Launch {
  return {
    image: "norm_grad",
    kernel: "norm_grad",
    grid: [rows, 1, 1],
    threads: 256,
    parameters: parameters.encode({
      x: x.address,
      cotangent: cotangent.address,
      g: weight,
      inverses,
      y: y.address,
      residual: residual?.address ?? 0n,
      width: x.width,
      x_stride: x.stride,
      cotangent_stride: cotangent.stride,
      y_stride: y.stride,
      residual_stride: residual?.stride ?? 0,
      eps,
    }),
  };
}

/** By the weight: y [D]. */
export function normWeightGrad(
  rows: number,
  { x, cotangent, inverses }: NormGradInputs,
  y: Handle,
  residual: Handle | undefined,
): Launch {
  return {
    image: "norm_grad",
    kernel: "norm_weight_grad",
    grid: [Math.ceil(x.width / 128), 1, 1],
    threads: 128,
    parameters: weightParameters.encode({
      x: x.address,
      cotangent: cotangent.address,
      inverses,
      y,
      residual: residual ?? 0n,
      rows,
      width: x.width,
      x_stride: x.stride,
      cotangent_stride: cotangent.stride,
    }),
  };
}
