// Launches of rope_cache.cu: what stands between the projections and attention.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import type { Rotation } from "./rope.ts";

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
  readonly headDim: number;
  /** Elements per position that lie before this attention's keys. */
  readonly before: number;
  readonly k: DeviceRows;
  readonly kRotation: Rotation | undefined;
  readonly v: DeviceRows;
  /** Queries that are rotated on the way. */
  readonly q: { readonly x: DeviceRows; readonly rotation: Rotation; readonly y: DeviceRows } | undefined;
}

/** @param step The step's rows. */
export function ropeCache(rows: number, step: Handle, { headDim, before, k, kRotation, v, q }: RopeCache): Launch {
  const queryPairs = (q?.x.width ?? 0) / 2;
  return {
    image: "rope_cache",
    kernel: "rope_cache",
    grid: [Math.ceil((queryPairs + k.width) / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      rows: step,
      q: q?.x.address ?? 0n,
      k: k.address,
      v: v.address,
      rotated: q?.y.address ?? 0n,
      q_rotation: q?.rotation.address ?? 0n,
      k_rotation: kRotation?.address ?? 0n,
      before,
      q_pairs: queryPairs,
      kv_pairs: k.width / 2,
      head_pairs: headDim / 2,
      q_stride: q?.x.stride ?? 0,
      k_stride: k.stride,
      v_stride: v.stride,
      rotated_stride: q?.y.stride ?? 0,
      rotation_stride: (q?.rotation ?? kRotation)?.stride ?? 0,
    }),
  };
}
