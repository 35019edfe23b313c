// Launches of rope.cu.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({
  x: u64,
  y: u64,
  rotation: u64,
  pairs: u32,
  head_pairs: u32,
  x_stride: u32,
  y_stride: u32,
  rotation_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** Cosines and sines of a step's rows, f32 [rows, stride, 2]. */
export interface Rotation {
  readonly address: Handle;
  /** Pairs from row to row. */
  readonly stride: number;
}

export function rope(rows: number, headDim: number, x: DeviceRows, rotation: Rotation, y: DeviceRows): Launch {
  return {
    image: "rope",
    kernel: "rope",
    grid: [Math.ceil(y.width / 2 / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      x: x.address,
      y: y.address,
      rotation: rotation.address,
      pairs: y.width / 2,
      head_pairs: headDim / 2,
      x_stride: x.stride,
      y_stride: y.stride,
      rotation_stride: rotation.stride,
    }),
  };
}
