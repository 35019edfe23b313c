// Launches of attention_grad.cu.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { headWidth } from "./heads.ts";
import { type AttentionInputs, blockRowsOf, type SequenceHeads } from "./sequence_attention.ts";

const rowParameters = struct({
  out: u64,
  log_sum_exp: u64,
  cotangent: u64,
  sums: u64,
  rows: u32,
  heads: u32,
  d: u32,
  out_stride: u32,
  cotangent_stride: u32,
  sum_stride: u32,
});
const parameters = struct({
  q: u64,
  k: u64,
  v: u64,
  cotangent: u64,
  sums: u64,
  bounds: u64,
  q_grad: u64,
  k_grad: u64,
  v_grad: u64,
  group: u32,
  rows: u32,
  heads: u32,
  d: u32,
  q_stride: u32,
  k_stride: u32,
  v_stride: u32,
  cotangent_stride: u32,
  q_grad_stride: u32,
  k_grad_stride: u32,
  v_grad_stride: u32,
  scale: f32,
});
export const structs: KernelStructs = { RowParameters: rowParameters, Parameters: parameters };

/** What attention gave, and the gradient of that. */
export interface AttentionGradInputs extends AttentionInputs {
  readonly out: DeviceRows;
  readonly logSumExp: DeviceRows;
  readonly cotangent: DeviceRows;
}

/** By queries where that is wanted, and by keys and values where those are. */
export interface AttentionGrads {
  readonly q: DeviceRows | undefined;
  readonly kv: { readonly k: DeviceRows; readonly v: DeviceRows } | undefined;
}

/** @param sums Memory for f32 [N, H, 2]. */
export function attentionGrad(
  rows: number,
  { heads, kvHeads, headDim }: SequenceHeads,
  given: AttentionGradInputs,
  sums: Handle,
  { q: byQuery, kv: byKey }: AttentionGrads,
): readonly Launch[] {
  const { q, k, v, bounds, out, logSumExp, cotangent } = given;
  const own = rowParameters.encode({
    out: out.address,
    log_sum_exp: logSumExp.address,
    cotangent: cotangent.address,
    sums,
    rows,
    heads,
    d: headDim,
    out_stride: out.stride,
    cotangent_stride: cotangent.stride,
    sum_stride: logSumExp.stride,
  });
  const shared = parameters.encode({
    q: q.address,
    k: k.address,
    v: v.address,
    cotangent: cotangent.address,
    sums,
    bounds,
    q_grad: byQuery?.address ?? 0n,
    k_grad: byKey?.k.address ?? 0n,
    v_grad: byKey?.v.address ?? 0n,
    group: heads / kvHeads,
    rows,
    heads,
    d: headDim,
    q_stride: q.stride,
    k_stride: k.stride,
    v_stride: v.stride,
    cotangent_stride: cotangent.stride,
    q_grad_stride: byQuery?.stride ?? 0,
    k_grad_stride: byKey?.k.stride ?? 0,
    v_grad_stride: byKey?.v.stride ?? 0,
    scale: 1 / Math.sqrt(headDim),
  });
  const image = "attention_grad";
  const launch = (role: "q" | "kv", across: number): Launch => ({
    image,
    kernel: `${image}_${role}_${headWidth(headDim)}`,
    grid: [Math.ceil(rows / blockRowsOf(headDim)), across, 1],
    threads: 256,
    parameters: shared,
  });
  return [
    { image, kernel: `${image}_rows`, grid: [Math.ceil(rows / 128), heads, 1], threads: 128, parameters: own },
    ...(byQuery ? [launch("q", heads)] : []),
    ...(byKey ? [launch("kv", kvHeads)] : []),
  ];
}
