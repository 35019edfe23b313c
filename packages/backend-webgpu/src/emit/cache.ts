// Keys and values into the cache of a sequence, keys rotated on the way, and queries beside them: an invocation per pair of elements.

import { type CacheStep, struct, u32 } from "@polyllama/planner";
import { activations, type CachePlace, type Emission, type Emitted, type SequenceDispatch } from "./dispatch.ts";

const parameters = struct({
  segment: u32,
  head_pairs: u32, // of a head
  padded_pairs: u32, // and with what pads it
  query_pairs: u32,
  key_pairs: u32,
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
  return { sequence: (place) => [dispatchOf(step, place, emission)], work: 0 };
}

function dispatchOf(
  { label, attention, k, kRotation, v, q }: CacheStep,
  { segment, heads, format }: CachePlace,
  { plan }: Emission,
): SequenceDispatch {
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
      values: { ...cacheValues(format), ROPE: rotates, ROPE_Q: q !== undefined, ROPE_K: kRotation !== undefined },
      access: `rrww${rotates ? "r" : ""}${q === undefined ? "" : "rw"}`,
    },
    resources: [
      activations(k),
      activations(v),
      { kind: "keys" },
      { kind: "values" },
      ...(rotates ? [{ kind: "rotation" } as const] : []),
      ...(q === undefined ? [] : [activations(q.x), activations(q.y)]),
    ],
    parameters: parameters.encode({
      segment,
      head_pairs: d / 2,
      padded_pairs: Math.ceil(d / 4) * 2,
      query_pairs: queryPairs,
      key_pairs: keyPairs,
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
    grid: (rows) => [Math.ceil(Math.max(keyPairs, queryPairs) / 64), rows, 1],
  };
}

/** What kernels that use a cache are told of its format. */
export function cacheValues(format: CachePlace["format"]): Readonly<Record<string, string | boolean>> {
  return { CACHE: `cache_${format}`, [`CACHE_${format.toUpperCase()}`]: true };
}
