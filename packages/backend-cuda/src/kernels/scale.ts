// Launches of scale.cu.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { KernelStructs, Launch } from "../launch.ts";
import { type Elements, flatGrid } from "./elements.ts";

const parameters = struct({ x: u64, y: u64, count: u64, width: u32, x_stride: u32, y_stride: u32, factor: f32 });
export const structs: KernelStructs = { Parameters: parameters };

/** y = factor x, of one shape. */
export function scale(factor: number, x: Elements, y: Elements): Launch {
  return launch("scale", factor, x, y);
}

export function zeros(y: Elements): Launch {
  return launch("zeros", 0, undefined, y);
}

function launch(kernel: string, factor: number, x: Elements | undefined, y: Elements): Launch {
  const count = y.rows * y.width;
  return {
    image: "scale",
    kernel,
    grid: flatGrid(count),
    threads: 256,
    parameters: parameters.encode({
      x: x?.address ?? 0n,
      y: y.address,
      count: BigInt(count),
      width: y.width,
      x_stride: x?.stride ?? 0,
      y_stride: y.stride,
      factor,
    }),
  };
}
