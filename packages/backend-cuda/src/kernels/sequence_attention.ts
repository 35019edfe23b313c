// Launches of sequence_attention.cu.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type Heads, headWidth } from "./heads.ts";

const parameters = struct({
  q: u64,
  k: u64,
  v: u64,
  bounds: u64,
  y: u64,
  log_sum_exp: u64,
  group: u32,
  rows: u32,
  d: u32,
  q_stride: u32,
  k_stride: u32,
  v_stride: u32,
  y_stride: u32,
  sum_stride: u32,
  scale: f32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** Heads of whole sequences. */
export type SequenceHeads = Omit<Heads, "before">;

/** q [N, H d], k and v [N, G d] of all rows. */
export interface AttentionInputs {
  readonly q: DeviceRows;
  readonly k: DeviceRows;
  readonly v: DeviceRows;
  /** Of each row, the first row of its sequence and the row behind its last, u32 [N, 2]. */
  readonly bounds: Handle;
}

/** Rows of a head that a block has. */
export function blockRowsOf(headDim: number): number {
  return headWidth(headDim) === 256 ? 32 : 64;
}

/** y [N, H d], and sums [N, H] where they are wanted. */
export function sequenceAttention(
  rows: number,
  { heads, kvHeads, headDim }: SequenceHeads,
  { q, k, v, bounds }: AttentionInputs,
  y: DeviceRows,
  sums: DeviceRows | undefined,
): Launch {
  return {
    image: "sequence_attention",
    kernel: `sequence_attention_${headWidth(headDim)}`,
    grid: [Math.ceil(rows / blockRowsOf(headDim)), heads, 1],
    threads: 256,
    parameters: parameters.encode({
      q: q.address,
      k: k.address,
      v: v.address,
      bounds,
      y: y.address,
      log_sum_exp: sums?.address ?? 0n,
      group: heads / kvHeads,
      rows,
      d: headDim,
      q_stride: q.stride,
      k_stride: k.stride,
      v_stride: v.stride,
      y_stride: y.stride,
      sum_stride: sums?.stride ?? 0,
      scale: Math.LOG2E / Math.sqrt(headDim),
    }),
  };
}
