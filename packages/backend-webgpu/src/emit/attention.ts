// Attention over the cache of a sequence. For prefill an invocation per row and head goes over all keys; for decoding, where there is
// one row, keys are split among workgroups, whose results a second kernel puts together.

import { type AttentionStep, f32, struct, u32 } from "@polyllama/planner";
import { cacheValues } from "./cache.ts";
import { activations, type CachePlace, type Emission, type Emitted, type SequenceDispatch } from "./dispatch.ts";

const rowsParameters = struct({
  segment: u32,
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
  segment: u32,
  group: u32,
  d: u32,
  q_offset: u32,
  q_stride: u32,
  d4: u32, // D4, not known to compilers: unrolled loops take them minutes
  scale: f32,
});

const combineParameters = struct({ segment: u32, d: u32, y_offset: u32, y_stride: u32, split: u32 });

/** Keys that a workgroup of a split attention goes over. */
export const splitKeys = 128;

export function emitAttention(step: AttentionStep, { mode }: Emission): Emitted {
  const dispatches = mode === "prefill" ? rowsDispatches : splitDispatches;
  return { sequence: (place) => dispatches(step, place), work: step.q.width };
}

/** What is the same in all of them. */
function shapeOf({ attention, q, y }: AttentionStep, { segment, heads }: CachePlace) {
  const { headDim: d } = attention;
  const group = attention.heads / attention.kvHeads;
  const firstQuery = heads.first * group * d;
  return {
    queryHeads: heads.count * group,
    d4: Math.ceil(d / 4),
    query: { segment, group, d, q_offset: q.offset + firstQuery, q_stride: q.buffer.stride },
    result: { y_offset: y.offset + firstQuery, y_stride: y.buffer.stride },
    scale: Math.LOG2E / Math.sqrt(d),
    padded: d % 4 !== 0,
  };
}

function rowsDispatches(step: AttentionStep, place: CachePlace): readonly SequenceDispatch[] {
  const { queryHeads, d4, query, result, scale, padded } = shapeOf(step, place);
  const workgroup = 64;
  return [
    {
      label: `${step.label}, ${place.format}`,
      spec: {
        kernel: "attention_rows",
        parameters: rowsParameters,
        values: { ...cacheValues(place.format), PADDED: padded, WORKGROUP: workgroup },
        access: "rrrw",
      },
      resources: [activations(step.q), { kind: "keys" }, { kind: "values" }, activations(step.y)],
      parameters: rowsParameters.encode({ ...query, ...result, d4, scale }),
      grid: (rows) => [Math.ceil(rows / workgroup), queryHeads, 1],
    },
  ];
}

function splitDispatches(step: AttentionStep, place: CachePlace): readonly SequenceDispatch[] {
  const { queryHeads, d4, query, result, scale, padded } = shapeOf(step, place);
  const { segment, d } = query;
  const combine = Math.min(64, d4);
  const values = { ...cacheValues(place.format), PADDED: padded, D4: d4, SPLIT: splitKeys, WIDE: d4 > 64 };
  return [
    {
      label: `${step.label}, ${place.format}`,
      spec: { kernel: "attention_split", parameters: splitParameters, values, access: "rrrw" },
      resources: [activations(step.q), { kind: "keys" }, { kind: "values" }, { kind: "partials" }],
      parameters: splitParameters.encode({ ...query, d4, scale }),
      grid: (_, start) => [queryHeads, Math.floor(start / splitKeys) + 1, 1],
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
      parameters: combineParameters.encode({ segment, d, ...result, split: splitKeys }),
      grid: () => [queryHeads, Math.ceil(d4 / combine), 1],
    },
  ];
}
