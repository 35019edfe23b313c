// Launches of round_rows.cu: what tensor cores take.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import type { Norm } from "./rms_norm.ts";

const parameters = struct({
  x: u64,
  g: u64,
  u: u64,
  y: u64,
  K: u32,
  columns: u32,
  x_stride: u32,
  u_stride: u32,
  y_stride: u32,
  eps: f32,
});
export const structs: KernelStructs = { Parameters: parameters };

/**
 * Values of a rounded row come in units of so many, which take so many words of 4 bytes; then come the exponent and
 * what fills up a vector.
 */
export const convertedUnit = 32;
export const convertedWords = 16;
export const convertedExtra = 4;

/** x, or its norm, or silu(x) up, as f16 with an exponent per row. */
export function roundRows(
  rows: number,
  x: DeviceRows,
  { norm, up }: { readonly norm?: Norm | undefined; readonly up?: DeviceRows | undefined },
  y: DeviceRows,
): Launch {
  return {
    image: "round_rows",
    kernel: "round_rows",
    grid: [rows, 1, 1],
    threads: 256,
    parameters: parameters.encode({
      x: x.address,
      g: norm?.weight ?? 0n,
      u: up?.address ?? 0n,
      y: y.address,
      K: x.width,
      columns: Math.ceil(x.width / convertedUnit) * convertedUnit,
      x_stride: x.stride,
      u_stride: up?.stride ?? 0,
      y_stride: 2 * y.stride, // in f16
      eps: norm?.eps ?? 0,
    }),
  };
}
