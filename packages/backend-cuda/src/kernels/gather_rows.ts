// Launches of gather_rows.cu.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({ x: u64, y: u64, selected: u64, width: u32, x_stride: u32, y_stride: u32 });
export const structs: KernelStructs = { Parameters: parameters };

/** Row n of y is row `selected[n]` of x; `selected` is u32 [count]. */
export function gatherRows(count: number, selected: Handle, x: DeviceRows, y: DeviceRows): Launch {
  return {
    image: "gather_rows",
    kernel: "gather_rows",
    grid: [Math.ceil(x.width / 128), count, 1],
    threads: 128,
    parameters: parameters.encode({
      x: x.address,
      y: y.address,
      selected,
      width: x.width,
      x_stride: x.stride,
      y_stride: y.stride,
    }),
  };
}
