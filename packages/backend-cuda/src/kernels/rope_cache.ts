// Launches of rope_cache.cu: what stands between the projections and attention.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({
  rows: u64,
  q: u64,
  k: u64,
  v: u64,
  rotated: u64,
  q_rotation: u64,
  k_rotation: u64,
  before: u32,
  q_pairs: u32,
  kv_pairs: u32,
  head_pairs: u32,
  q_stride: u32,
  k_stride: u32,
  v_stride: u32,
  rotated_stride: u32,
  rotation_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

export interface RopeCache {
  readonly rows: number;
  /** Of the step, as kernels read them. */
  readonly step: Handle;
  readonly headDim: number;
  /** Elements per position that lie before this attention's keys. */
  readonly before: number;
  readonly q: DeviceRows;
  readonly k: DeviceRows;
  readonly v: DeviceRows;
  /** Rotated queries, where they are rotated. */
  readonly rotated: DeviceRows | undefined;
  /** Addresses of rotations, 0 where there is none, and pairs from row to row. */
  readonly rotations: { readonly q: Handle; readonly k: Handle; readonly stride: number };
}

export function ropeCache({ rows, step, headDim, before, q, k, v, rotated, rotations }: RopeCache): Launch {
  const pairs = (rotated === undefined ? 0 : q.width / 2) + k.width;
  return {
    image: "rope_cache",
    kernel: "rope_cache",
    grid: [Math.ceil(pairs / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      rows: step,
      q: q.address,
      k: k.address,
      v: v.address,
      rotated: rotated?.address ?? 0n,
      q_rotation: rotations.q,
      k_rotation: rotations.k,
      before,
      q_pairs: q.width / 2,
      kv_pairs: k.width / 2,
      head_pairs: headDim / 2,
      q_stride: q.stride,
      k_stride: k.stride,
      v_stride: v.stride,
      rotated_stride: rotated?.stride ?? 0,
      rotation_stride: rotations.stride,
    }),
  };
}
