// attention as `GroupQueryAttention`, which appends keys and values to the cache in place: past and present are the
// same memory. It wants heads of a multiple of 8 values; narrower ones are padded with zeros, which add nothing to
// scores and stand as zero columns in the result. Its own rotation wants a multiple of 16.
//
// Two things are done for speed alone. The scale 1 / sqrt(d) is applied to the queries beforehand, because a product of
// one row with a scale of its own misses the kernel for vectors. And a sink of -3e38, whose exponential is 0, is given
// to every head, because attention with sinks takes the plain path instead of the tiled one, which is about half as
// fast when several query heads share keys.

import type { AttentionStep, CacheStep, PlanAttention } from "@polyllama/planner";
import type { Binding } from "../binding.ts";
import { type Emission, emitTensor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";
import { type RotationTables, rotationTables } from "./rope.ts";

/** Width of a head in the cache. */
export function paddedHead(headDim: number): number {
  return Math.ceil(headDim / 8) * 8;
}

/** Inputs that all attentions of a run share. */
const attentionInputs = { lastPosition: "run last position", totalLength: "run total length" } as const;

/** Names of one attention's cache tensors [1, G, capacity, padded d]. */
function cacheNames(index: number): {
  readonly past: readonly TensorName[];
  readonly present: readonly TensorName[];
} {
  return {
    past: [`past ${index} keys`, `past ${index} values`],
    present: [`present ${index} keys`, `present ${index} values`],
  };
}

interface AttentionOperands {
  /** Queries [1, rows, H d]; with keys and values left out, all three side by side [1, rows, (H + 2 G) d]. */
  readonly q: TensorName;
  readonly k?: TensorName;
  readonly v?: TensorName;
  /** Rotates q and k with these tables. */
  readonly rotation?: RotationTables;
}

/** Queries times 1 / sqrt(d), rounded once; in a stack of q, k and v the others times 1. */
function scaled(e: Emission, q: TensorName, { heads, kvHeads, headDim }: PlanAttention, stacked: boolean): TensorName {
  const width = heads * paddedHead(headDim);
  const others = stacked ? 2 * kvHeads * headDim : 0;
  const factors = e.model.reals(`scale ${headDim} of ${width} and ${others}`, () =>
    new Float32Array(width + others).fill(1).fill(1 / Math.sqrt(headDim), 0, width),
  );
  const output = e.model.fresh(`${q}:scaled`);
  e.model.node("Mul", [q, factors], [output]);
  return output;
}

/** -> [1, rows, H d] */
export function emitAttention(step: AttentionStep, e: Emission): void {
  const { attention } = step;
  declareCaches(attention, e);
  const appended = e.appending.get(attention.index)!; // its step is right before
  emitTensor(e, step, (name) => attend(e, attention, operandsOf(step, appended, e), name));
}

/** Where queries, keys and values come from: side by side where they were computed so, rotated here or before. */
function operandsOf({ attention, q: rotated }: AttentionStep, step: CacheStep, e: Emission): AttentionOperands {
  const { k, v, kRotation } = step;
  const q = step.q?.x ?? rotated;
  const rotation = kRotation && { rotation: rotationTables(e, kRotation) };
  const stacked =
    [k, v].every(({ buffer }) => buffer === q.buffer) &&
    String([q.offset, k.offset, v.offset]) === String([0, q.width, q.width + k.width]) &&
    q.buffer.stride === q.width + 2 * k.width &&
    paddedHead(attention.headDim) === attention.headDim;
  if (stacked) return { q: e.tensors.whole(q.buffer), ...rotation };
  return { q: e.tensors.at(q), k: e.tensors.at(k), v: e.tensors.at(v), ...rotation };
}

/** Keys and values of before and after the run, which are the same memory. */
function declareCaches(
  { index: attention, kvHeads, headDim }: PlanAttention,
  { model, tensors, caches }: Emission,
): void {
  for (const kind of ["lastPosition", "totalLength"] as const) {
    const shared = attentionInputs[kind];
    tensors.input(shared, { kind }, () => model.input(shared, "i32", [1]));
  }
  const { past, present } = cacheNames(attention);
  const shape = [1, kvHeads, "capacity", paddedHead(headDim)];
  for (const [part, kind] of (["keys", "values"] as const).entries()) {
    const binding: Binding = { kind, attention };
    tensors.input(past[part]!, binding, () => model.input(past[part]!, "f32", shape));
    model.output(present[part]!, "f32", shape);
    caches.push({ name: present[part]!, binding });
  }
}

function attend(e: Emission, attention: PlanAttention, operands: AttentionOperands, output: TensorName): void {
  const { index, heads, kvHeads, headDim } = attention;
  const padded = paddedHead(headDim);
  const pad = (x: TensorName, count: number): TensorName => {
    if (padded === headDim) return x;
    const split = e.model.fresh(`${x}:heads`);
    const wide = e.model.fresh(`${x}:padded`);
    const joined = e.model.fresh(`${x}:rows`);
    e.model.node("Reshape", [x, e.model.integers([1, -1, count, headDim])], [split]);
    e.model.node("Pad", [split, e.model.integers([0, 0, 0, 0, 0, 0, 0, padded - headDim])], [wide]);
    e.model.node("Reshape", [wide, e.model.integers([1, -1, count * padded])], [joined]);
    return joined;
  };
  const { q, k, v, rotation } = operands;
  const { past, present } = cacheNames(index);
  const wide = padded === headDim ? output : e.model.fresh(`${output}:padded`);
  e.model.node(
    "GroupQueryAttention",
    [
      scaled(e, pad(q, heads), attention, k === undefined),
      k === undefined ? "" : pad(k, kvHeads),
      v === undefined ? "" : pad(v, kvHeads),
      ...past,
      attentionInputs.lastPosition,
      attentionInputs.totalLength,
      ...(rotation === undefined ? ["", ""] : [rotation.cos, rotation.sin]),
      "",
      "",
      e.model.reals(`no sink ${heads}`, () => new Float32Array(heads).fill(-3e38)),
    ],
    [wide, ...present],
    {
      num_heads: { int: heads },
      kv_num_heads: { int: kvHeads },
      scale: { float: 1 },
      do_rotary: { int: rotation === undefined ? 0 : 1 },
      rotary_interleaved: { int: rotation === undefined ? 0 : 1 },
    },
  );
  if (padded === headDim) return;
  const split = e.model.fresh(`${output}:heads`);
  const narrow = e.model.fresh(`${output}:narrow`);
  e.model.node("Reshape", [wide, e.model.integers([1, -1, heads, padded])], [split]);
  e.model.node("Slice", [split, e.model.integers([0]), e.model.integers([headDim]), e.model.integers([-1])], [narrow]);
  e.model.node("Reshape", [narrow, e.model.integers([1, -1, heads * headDim])], [output]);
}
