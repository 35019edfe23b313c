// Launches of rms_norm.cu.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({ x: u64, g: u64, y: u64, width: u32, x_stride: u32, y_stride: u32, eps: f32 });
export const structs: KernelStructs = { Parameters: parameters };

/** A norm's weight, f32 [width], and what is added to the mean square. */
export interface Norm {
  readonly weight: Handle;
  readonly eps: number;
}

export function rmsNorm(rows: number, x: DeviceRows, { weight, eps }: Norm, y: DeviceRows): Launch {
  return {
    image: "rms_norm",
    kernel: "rms_norm",
    grid: [rows, 1, 1],
    threads: 256,
    parameters: parameters.encode({
      x: x.address,
      g: weight,
      y: y.address,
      width: y.width,
      x_stride: x.stride,
      y_stride: y.stride,
      eps,
    }),
  };
}
