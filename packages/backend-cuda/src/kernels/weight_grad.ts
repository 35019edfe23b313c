// Launches of weight_grad.cu: gradients of linears by their weights.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({
  x: u64,
  cotangent: u64,
  y: u64,
  residual: u64,
  K: u32,
  M: u32,
  N: u32,
  x_stride: u32,
  cotangent_stride: u32,
  y_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** Where a gradient of a weight goes. */
export interface WeightTarget {
  readonly address: Handle;
  /** Of what is added, which lies alike. */
  readonly residual: Handle | undefined;
  /** Elements from row to row. */
  readonly stride: number;
}

/** y [M, K] = cotangent^T x, plus a residual where one is given, of x [N, K] and the cotangent [N, M]. */
export function weightGrad(rows: number, x: DeviceRows, cotangent: DeviceRows, y: WeightTarget): Launch {
  return {
    image: "weight_grad",
    kernel: "weight_grad",
    grid: [Math.ceil(y.stride / 64), Math.ceil(cotangent.width / 64), 1],
    threads: 256,
    parameters: parameters.encode({
      x: x.address,
      cotangent: cotangent.address,
      y: y.address,
      residual: y.residual ?? 0n,
      K: x.width,
      M: cotangent.width,
      N: rows,
      x_stride: x.stride,
      cotangent_stride: cotangent.stride,
      y_stride: y.stride,
    }),
  };
}
