// Launches of add.cu and swiglu.cu: two operands of equal width, row by row.

import { struct, u32, u64 } from "@polyllama/planner";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({ a: u64, b: u64, y: u64, width: u32, a_stride: u32, b_stride: u32, y_stride: u32 });
export const structs: KernelStructs = { Parameters: parameters };

/** y = a + b, or silu(a) b, of `rows` rows. */
export function elementwise(
  kernel: "add" | "swiglu",
  rows: number,
  a: DeviceRows,
  b: DeviceRows,
  y: DeviceRows,
): Launch {
  return {
    image: kernel,
    kernel,
    grid: [Math.ceil(y.width / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      a: a.address,
      b: b.address,
      y: y.address,
      width: y.width,
      a_stride: a.stride,
      b_stride: b.stride,
      y_stride: y.stride,
    }),
  };
}
