// Launches of attention_rows.cu and attention_mma.cu: attention of prompts in tiles, in f32 and on tensor cores. Each
// is for the sequences whose cache has its format, so that both are launched where tensor cores may be used.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type Heads, headWidth } from "./heads.ts";

const parameters = struct({
  rows: u64,
  q: u64,
  y: u64,
  count: u32,
  before: u32,
  heads: u32,
  kv_heads: u32,
  d: u32,
  block_heads: u32,
  block_rows: u32,
  q_stride: u32,
  y_stride: u32,
  scale: f32,
  left_out: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** Most query heads of a block. */
const headsPerBlock = 8;
/** Queries of a block: rows times heads. */
const queriesPerBlock = 64;
/** Heads that attention on tensor cores is for. */
export const tensorCoreHeads = { multiple: 8, most: 128 } as const;

/** @param tensorCores Whether caches in f16 are left to tensor cores, where these take such heads. */
export function attentionTiles(
  rows: number,
  step: Handle,
  { heads, kvHeads, headDim: d, before }: Heads,
  q: DeviceRows,
  y: DeviceRows,
  tensorCores: boolean,
): readonly Launch[] {
  const group = heads / kvHeads;
  const groups = Math.ceil(group / headsPerBlock); // of a key/value head
  const blockHeads = Math.ceil(group / groups);
  const blockRows = Math.floor(queriesPerBlock / blockHeads);
  const mma = tensorCores && d % tensorCoreHeads.multiple === 0 && d <= tensorCoreHeads.most;
  const encoded = parameters.encode({
    rows: step,
    q: q.address,
    y: y.address,
    count: rows,
    before,
    heads,
    kv_heads: kvHeads,
    d,
    block_heads: blockHeads,
    block_rows: blockRows,
    q_stride: q.stride,
    y_stride: y.stride,
    scale: 1 / Math.sqrt(d),
    left_out: mma ? 1 : 3,
  });
  const grid = [Math.ceil(rows / blockRows), kvHeads * groups, 1] as const;
  const launch = (image: string, threads: number): Launch => {
    return { image, kernel: `${image}_${headWidth(d)}`, grid, threads, parameters: encoded };
  };
  return [launch("attention_rows", 256), ...(mma ? [launch("attention_mma", 128)] : [])];
}
