// Attention over the blocks of sequences. For prefill an invocation per row and head goes over all keys; for decoding,
// where there is one row of each sequence, keys are split among workgroups, whose results a second kernel puts
// together.

import { type AttentionStep, f32, struct, u32 } from "@polyllama/planner";
import { splitKeys, splitsFor } from "../cache/layout.ts";
import { poolValues } from "./cache.ts";
import { activations, type Emission, type Emitted, type PoolDispatch, type PoolPlace } from "./dispatch.ts";

const rowsParameters = struct({
  pool: u32,
  kv_heads: u32, // of this part of the pool
  group: u32, // query heads that share a key
  d: u32,
  q_offset: u32,
  q_stride: u32,
  y_offset: u32,
  y_stride: u32,
  d4: u32, // vectors of four in a head
  scale: f32, // log2(e) / sqrt(d)
});

const splitParameters = struct({
  pool: u32,
  kv_heads: u32,
  group: u32,
  d: u32,
  q_offset: u32,
  q_stride: u32,
  d4: u32, // D4, not known to compilers: unrolled loops take them minutes
  scale: f32,
});

const combineParameters = struct({ pool: u32, d: u32, y_offset: u32, y_stride: u32, split: u32 });

export function emitAttention(step: AttentionStep, { mode }: Emission): Emitted {
  const dispatches = mode === "prefill" ? rowsDispatches : splitDispatches;
  return { pooled: (place) => dispatches(step, place), work: step.q.width };
}

/** What is the same in all of them. */
function shapeOf({ attention, q, y }: AttentionStep, { pool, heads }: PoolPlace) {
  const { headDim: d } = attention;
  const group = attention.heads / attention.kvHeads;
  const firstQuery = heads.first * group * d;
  return {
    queryHeads: heads.count * group,
    d4: Math.ceil(d / 4),
    query: { pool, kv_heads: heads.count, group, d, q_offset: q.offset + firstQuery, q_stride: q.buffer.stride },
    result: { y_offset: y.offset + firstQuery, y_stride: y.buffer.stride },
    scale: Math.LOG2E / Math.sqrt(d),
    padded: d % 4 !== 0,
  };
}

function rowsDispatches(step: AttentionStep, place: PoolPlace): readonly PoolDispatch[] {
  const { queryHeads, d4, query, result, scale, padded } = shapeOf(step, place);
  const workgroup = 64;
  return [
    {
      label: `${step.label}, ${place.format}`,
      spec: {
        kernel: "attention_rows",
        parameters: rowsParameters,
        values: { ...poolValues(place), PADDED: padded, WORKGROUP: workgroup },
        access: "rrrwr",
      },
      resources: [activations(step.q), { kind: "keys" }, { kind: "values" }, activations(step.y), { kind: "tables" }],
      parameters: rowsParameters.encode({ ...query, ...result, d4, scale }),
      grid: ({ rows, segments }) => [Math.ceil(rows / workgroup), queryHeads, segments],
    },
  ];
}

function splitDispatches(step: AttentionStep, place: PoolPlace): readonly PoolDispatch[] {
  const { queryHeads, d4, query, result, scale, padded } = shapeOf(step, place);
  const { pool, d } = query;
  const combine = Math.min(64, d4);
  const values = { ...poolValues(place), PADDED: padded, D4: d4, SPLIT: splitKeys, WIDE: d4 > 64 };
  return [
    {
      label: `${step.label}, ${place.format}`,
      spec: { kernel: "attention_split", parameters: splitParameters, values, access: "rrrwr" },
      resources: [activations(step.q), { kind: "keys" }, { kind: "values" }, { kind: "partials" }, { kind: "tables" }],
      parameters: splitParameters.encode({ ...query, d4, scale }),
      grid: ({ length, segments }) => [queryHeads, splitsFor(length), segments],
    },
    {
      label: `${step.label}, splits`,
      spec: {
        kernel: "attention_combine",
        parameters: combineParameters,
        values: { D4: d4, WORKGROUP: combine },
        access: "rw",
      },
      resources: [{ kind: "partials" }, activations(step.y)],
      parameters: combineParameters.encode({ pool, d, ...result, split: splitKeys }),
      grid: ({ segments }) => [queryHeads, Math.ceil(d4 / combine), segments],
    },
  ];
}
