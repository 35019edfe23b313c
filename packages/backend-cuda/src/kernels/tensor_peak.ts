// Launches of tensor_peak.cu.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs, Launch } from "../launch.ts";

const parameters = struct({ y: u64, rounds: u32 });
export const structs: KernelStructs = { Parameters: parameters };

/** As the kernel has them. */
export const warpsPerBlock = 8;
export const sumsPerWarp = 16;

/** @param y f32 [blocks, warps, 32] */
export function tensorPeakLaunch(blocks: number, rounds: number, y: Handle): Launch {
  return {
    image: "tensor_peak",
    kernel: "tensor_peak",
    grid: [blocks, 1, 1],
    threads: 32 * warpsPerBlock,
    parameters: parameters.encode({ y, rounds }),
  };
}
