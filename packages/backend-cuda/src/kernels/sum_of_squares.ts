// Launches of sum_of_squares.cu: two, the second of which adds up what the blocks of the first leave.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs, Launch } from "../launch.ts";
import { type Elements, flatGrid } from "./elements.ts";

const parameters = struct({ x: u64, y: u64, count: u64, width: u32, stride: u32 });
export const structs: KernelStructs = { Parameters: parameters };

/** Sums that the first launch leaves, at most. */
export const mostSums = 256;

/** @param sums Memory for {@link mostSums}. @param y f32 [1] */
export function sumOfSquares(x: Elements, sums: Handle, y: Handle): readonly Launch[] {
  const count = x.rows * x.width;
  const grid = flatGrid(Math.ceil(count / 16), mostSums);
  const [left] = grid;
  return [
    launch("sum_of_squares", x, sums, grid),
    launch("sum_of_sums", { address: sums, rows: 1, width: left, stride: left }, y, [1, 1, 1]),
  ];
}

function launch(kernel: string, { address, rows, width, stride }: Elements, y: Handle, grid: Launch["grid"]): Launch {
  const count = BigInt(rows * width);
  return {
    image: "sum_of_squares",
    kernel,
    grid,
    threads: 256,
    parameters: parameters.encode({ x: address, y, count, width, stride }),
  };
}
