// Launches of attention_split.cu and of attention_combine.cu, which brings its parts together: attention of single rows
// behind many keys.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type Heads, headWidth } from "./heads.ts";

const split = struct({
  rows: u64,
  q: u64,
  y: u64,
  before: u32,
  heads: u32,
  kv_heads: u32,
  d: u32,
  q_stride: u32,
  parts: u32,
  scale: f32,
});
const combine = struct({
  rows: u64,
  partials: u64,
  y: u64,
  heads: u32,
  d: u32,
  parts: u32,
  part_keys: u32,
  y_stride: u32,
});
export const splitStructs: KernelStructs = { Parameters: split };
export const combineStructs: KernelStructs = { Parameters: combine };

/** Keys that a block sees; the kernel's constant is the same. */
export const partKeys = 256;
/** Most query heads of a block where four divide the heads' size; otherwise one. */
const splitHeads = 4;

/** Elements of f32 that a row has in `partials` for each part. */
export function partialWidth({ heads, headDim }: Pick<Heads, "heads" | "headDim">): number {
  return heads * (headDim + 2);
}

/** @param parts As many as the longest sequence has, or more; of each row those up to its position are used. */
export function attentionSplit(
  rows: number,
  step: Handle,
  { heads, kvHeads, headDim: d, before }: Heads,
  q: DeviceRows,
  partials: Handle,
  parts: number,
  y: DeviceRows,
): readonly Launch[] {
  const group = heads / kvHeads;
  const byFours = d % 4 === 0;
  const together = byFours && group > 1 ? splitHeads : 1;
  return [
    {
      image: "attention_split",
      kernel: `attention_split_${byFours ? `${headWidth(d)}_${together}` : "any"}`,
      grid: [rows, kvHeads * Math.ceil(group / together), parts],
      threads: 128,
      parameters: split.encode({
        rows: step,
        q: q.address,
        y: partials,
        before,
        heads,
        kv_heads: kvHeads,
        d,
        q_stride: q.stride,
        parts,
        scale: 1 / Math.sqrt(d),
      }),
    },
    {
      image: "attention_combine",
      kernel: "attention_combine",
      grid: [rows, heads, 1],
      threads: 128,
      parameters: combine.encode({
        rows: step,
        partials,
        y: y.address,
        heads,
        d,
        parts,
        part_keys: partKeys,
        y_stride: y.stride,
      }),
    },
  ];
}
