// Keys and values into the blocks of their sequences, keys rotated on the way, and queries beside them: an invocation
// per pair of elements.

import { type CacheStep, struct, u32 } from "@polyllama/planner";
import { blockRows } from "../cache/layout.ts";
import type { ShaderValues } from "../shader.ts";
import { activations, type Emission, type Emitted, type PoolDispatch, type PoolPlace } from "./dispatch.ts";

const parameters = struct({
  pool: u32,
  kv_heads: u32, // of this part of the pool
  head_pairs: u32, // of a head
  padded_pairs: u32, // and with what pads it
  query_pairs: u32,
  q_offset: u32,
  q_stride: u32,
  k_offset: u32,
  k_stride: u32,
  v_offset: u32,
  v_stride: u32,
  y_offset: u32,
  y_stride: u32,
  q_table: u32, // where the rotations' columns begin in the table
  k_table: u32,
  table_stride: u32,
});

export function emitCache(step: CacheStep, emission: Emission): Emitted {
  return { pooled: (place) => [dispatchOf(step, place, emission)], work: 0 };
}

function dispatchOf(
  { label, attention, k, kRotation, v, q }: CacheStep,
  place: PoolPlace,
  { plan }: Emission,
): PoolDispatch {
  const { pool, heads, format } = place;
  const { headDim: d } = attention;
  const group = attention.heads / attention.kvHeads;
  const firstKey = heads.first * d;
  const firstQuery = heads.first * group * d;
  const keyPairs = (heads.count * d) / 2;
  const queryPairs = q === undefined ? 0 : group * keyPairs;
  const rotates = q !== undefined || kRotation !== undefined;
  return {
    label: `${label}, ${format}`,
    spec: {
      kernel: "rope_cache",
      parameters,
      values: { ...poolValues(place), ROPE: rotates, ROPE_Q: q !== undefined, ROPE_K: kRotation !== undefined },
      access: `rrwwr${rotates ? "r" : ""}${q === undefined ? "" : "rw"}`,
    },
    resources: [
      activations(k),
      activations(v),
      { kind: "keys" },
      { kind: "values" },
      { kind: "tables" },
      ...(rotates ? [{ kind: "rotation" } as const] : []),
      ...(q === undefined ? [] : [activations(q.x), activations(q.y)]),
    ],
    parameters: parameters.encode({
      pool,
      kv_heads: heads.count,
      head_pairs: d / 2,
      padded_pairs: Math.ceil(d / 4) * 2,
      query_pairs: queryPairs,
      q_offset: q === undefined ? 0 : q.x.offset + firstQuery,
      q_stride: q?.x.buffer.stride ?? 0,
      k_offset: k.offset + firstKey,
      k_stride: k.buffer.stride,
      v_offset: v.offset + firstKey,
      v_stride: v.buffer.stride,
      y_offset: q === undefined ? 0 : q.y.offset + firstQuery,
      y_stride: q?.y.buffer.stride ?? 0,
      q_table: q?.rotation.offset ?? 0,
      k_table: kRotation?.offset ?? 0,
      table_stride: plan.rotationStride,
    }),
    grid: ({ rows, segments }) => [Math.ceil(Math.max(keyPairs, queryPairs) / 64), rows, segments],
  };
}

/** What kernels over KV blocks are told of them. */
export function poolValues({ format }: PoolPlace): ShaderValues {
  return { CACHE: `cache_${format}`, [`CACHE_${format.toUpperCase()}`]: true, BLOCK: blockRows };
}
