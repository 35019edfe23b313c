// A chunk of a step: where its rows come from, and what the device is told of them before its kernels run.

import type { RealArray, ResolvedSequence, Step } from "@polyllama/core";
import { type Chunk, type ChunkMode, type ChunkSegment, cutChunks, type Place } from "@polyllama/planner";
import type { Gpu } from "./gpu.ts";
import type { WebGpuKvCache } from "./kv-cache.ts";
import type { Mode } from "./modes.ts";
import type { PreparedPlan } from "./prepared-plan.ts";
import type { Scratch } from "./scratch.ts";
import { encodeStep } from "./step.ts";

/** Rows of one sequence within a chunk. */
export interface PlacedSegment extends ChunkSegment {
  /** First row in the step. */
  readonly source: number;
  /** Position in its cache, and for rotation. */
  readonly start: number;
  readonly position: number;
  readonly cache: WebGpuKvCache | undefined;
}

export interface PlacedChunk extends Chunk<Mode> {
  readonly segments: readonly PlacedSegment[];
}

/** Cuts a step. A sequence without a cache of its own may have one that begins with it. */
export function placeChunks(
  sequences: readonly ResolvedSequence[],
  caches: readonly (WebGpuKvCache | undefined)[],
  modes: readonly ChunkMode<Mode>[],
): readonly PlacedChunk[] {
  return cutChunks(sequences, modes).map((chunk) => ({
    ...chunk,
    segments: chunk.segments.map((segment) => {
      const { first, start, cache: own } = sequences[segment.sequence]!;
      return {
        ...segment,
        source: first + segment.from,
        start: (own === undefined ? 0 : start) + segment.from,
        position: start + segment.from,
        cache: caches[segment.sequence],
      };
    }),
  }));
}

/** How many rows are selected: the last one of each sequence. */
export function selectedRows({ segments }: Chunk): number {
  return segments.filter(({ ends }) => ends).length;
}

/** Puts a chunk's inputs into the queue; without a step its tokens are on the device. */
export function writeChunk(
  { device: { queue } }: Gpu,
  scratch: Scratch,
  { plan, buffers, rotation, rotationBuffer }: PreparedPlan,
  chunk: PlacedChunk,
  step: Step | undefined,
): void {
  const segments = chunk.segments.map(({ first, rows, start, cache }) => {
    return { first, rows, start, capacity: cache?.capacity ?? 0 };
  });
  queue.writeBuffer(scratch.step, 0, encodeStep({ rows: chunk.rows, selected: selectedRows(chunk) }, segments));
  const ends = chunk.segments.filter(({ ends: last }) => last);
  const selection = Uint32Array.from(ends, ({ first, rows }) => first + rows - 1);
  if (selection.length > 0) queue.writeBuffer(scratch.selection, 0, selection);
  if (rotationBuffer !== undefined) {
    const table = new Float32Array(chunk.rows * plan.rotationStride * 2);
    const positions: number[] = [];
    for (const { position, rows } of chunk.segments) for (let i = 0; i < rows; i++) positions.push(position + i);
    rotation.write(positions, table);
    queue.writeBuffer(rotationBuffer, 0, table);
  }
  if (step === undefined) return;
  if (plan.tokens !== undefined) {
    const tokens = new Int32Array(chunk.rows);
    const given = step.inputs[plan.tokens]!;
    for (const { first, source, rows } of chunk.segments) tokens.set(given.subarray(source, source + rows), first);
    queue.writeBuffer(scratch.tokens, 0, tokens);
  }
  for (const [name, place] of plan.inputs) {
    const given = step.inputs[name] as RealArray; // resolveStep refuses tokens here
    queue.writeBuffer(buffers[place.buffer.id]!, 0, paddedRows(given, place, chunk));
  }
}

/** The chunk's rows of an input, as far apart as its buffer has them. */
function paddedRows(given: RealArray, { buffer: { stride }, width }: Place, chunk: PlacedChunk) {
  const rows = new Float32Array(chunk.rows * stride);
  for (const { first, source, rows: count } of chunk.segments) {
    for (let i = 0; i < count; i++) {
      rows.set(given.subarray((source + i) * width, (source + i + 1) * width), (first + i) * stride);
    }
  }
  return rows;
}

/** Copies a chunk's rows of a value, without padding, to their rows of a tensor. */
export function copyRows(
  data: Float32Array,
  { buffer: { stride, rows: set }, offset, width }: Place,
  chunk: PlacedChunk,
  which: "all" | "last",
  { data: target }: { readonly data: RealArray },
): void {
  let ended = 0;
  for (const { sequence, first, source, rows, ends } of chunk.segments) {
    const row = (from: number, to: number): void =>
      target.set(data.subarray(from * stride + offset, from * stride + offset + width), to * width);
    if (which === "all") for (let i = 0; i < rows; i++) row(first + i, source + i);
    else if (ends) row(set === "selected" ? ended++ : first + rows - 1, sequence);
  }
}
