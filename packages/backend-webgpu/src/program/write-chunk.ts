// What the host tells the device of a chunk before its kernels run: rows, tables of blocks, cosines and sines, tokens
// and activations that it has, and draws. What lies on the device is copied there by the chunk's first submission.

import type { RealArray } from "@polyllama/core";
import { isDeviceTensor, type Step } from "@polyllama/core/device";
import type { Place, StepTensor } from "@polyllama/planner";
import { blocksFor, splitsFor } from "../cache/layout.ts";
import type { Gpu } from "../gpu.ts";
import type { GpuTensor } from "../tensors.ts";
import { type PlacedChunk, type PlacedSegment, selectedRows } from "./chunk.ts";
import type { DrawPart } from "./outputs.ts";
import type { PreparedPlan } from "./prepared-plan.ts";
import { drawBytes, writeDraw } from "./sampler.ts";
import type { Scratch } from "./scratch.ts";
import { encodeStep, type StepSegment } from "./step.ts";

/** Draws of one output in a chunk, and by which number the kernel knows their value. */
export interface ChunkDraws extends DrawPart {
  readonly source: number;
}

/** Puts it into the queue. */
export function writeChunk(
  { device: { queue } }: Gpu,
  scratch: Scratch,
  prepared: PreparedPlan,
  chunk: PlacedChunk,
  step: Step,
  draws: readonly ChunkDraws[],
): void {
  const { plan, buffers } = prepared;
  const { segments, tables } = placeTables(chunk);
  const drawn = encodeDraws(draws);
  const counts = { rows: chunk.rows, selected: selectedRows(chunk), draws: drawn.byteLength / drawBytes };
  queue.writeBuffer(scratch.step, 0, encodeStep(counts, segments));
  if (tables.length > 0) queue.writeBuffer(scratch.growing.get("tables"), 0, tables);
  if (drawn.byteLength > 0) queue.writeBuffer(scratch.growing.get("draws"), 0, drawn);
  if (plan.buffers.some(({ rows }) => rows === "selected")) {
    const ends = chunk.segments.filter(({ ends: last }) => last);
    queue.writeBuffer(
      scratch.selection,
      0,
      Uint32Array.from(ends, ({ first, rows }) => first + rows - 1),
    );
  }
  writeRotations(queue, prepared, chunk);
  const tokens = plan.tokens === undefined ? undefined : step.inputs[plan.tokens];
  if (tokens !== undefined && !isDeviceTensor(tokens)) {
    const own = new Int32Array(chunk.rows);
    for (const { first, source, rows } of chunk.segments) own.set(tokens.subarray(source, source + rows), first);
    queue.writeBuffer(scratch.tokens, 0, own);
  }
  for (const [name, place] of plan.inputs) {
    const given = step.inputs[name]!; // resolveStep wants all of them
    if (isDeviceTensor(given)) continue;
    // and refuses tokens here
    queue.writeBuffer(buffers[place.buffer.id]!, 0, paddedRows(given as RealArray, place, chunk));
  }
}

/** Entries of the tables of all sequences of a chunk. */
export function tableEntries({ segments }: PlacedChunk): number {
  return segments.reduce(
    (sum, { blocks, start, rows }) => sum + (blocks === undefined ? 0 : blocksFor(start + rows)),
    0,
  );
}

/** Tables one behind another, and what kernels are told of the segments. */
function placeTables(chunk: PlacedChunk) {
  const tables = new Uint32Array(tableEntries(chunk));
  let table = 0;
  let partials = 0;
  const segments = chunk.segments.map(({ first, rows, start, blocks }): StepSegment => {
    const segment = { first, rows, start, table, partials, pool: blocks?.pool.number ?? 0 };
    partials += splitsFor(start + rows);
    if (blocks === undefined) return segment;
    const count = blocksFor(start + rows);
    tables.set(blocks.table.subarray(0, count), table);
    table += count;
    return segment;
  });
  return { segments, tables };
}

function encodeDraws(draws: readonly ChunkDraws[]): ArrayBuffer {
  const count = draws.reduce((sum, { rows }) => sum + rows.length, 0);
  const view = new DataView(new ArrayBuffer(count * drawBytes));
  let at = 0;
  for (const { sink, place, rows, source } of draws) {
    for (const { k, index: row } of rows) {
      // one draw and one position for each row of the output
      writeDraw(view, at, sink.draws[k]!, place.width, { source, row, position: sink.positions[k]! });
      at += drawBytes;
    }
  }
  return view.buffer;
}

function writeRotations(queue: GPUQueue, { plan, rotation, rotationBuffer }: PreparedPlan, chunk: PlacedChunk): void {
  if (rotationBuffer === undefined) return;
  const table = new Float32Array(chunk.rows * plan.rotationStride * 2);
  const positions: number[] = [];
  for (const { position, rows } of chunk.segments) for (let i = 0; i < rows; i++) positions.push(position + i);
  rotation.write(positions, table);
  queue.writeBuffer(rotationBuffer, 0, table);
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

/** Encodes copies of inputs that lie on the device. */
export function copyInputs(
  encoder: GPUCommandEncoder,
  scratch: Scratch,
  { plan, buffers }: PreparedPlan,
  chunk: PlacedChunk,
  step: Step,
): void {
  const tokens = plan.tokens === undefined ? undefined : step.inputs[plan.tokens];
  if (tokens !== undefined && isDeviceTensor(tokens)) {
    copyRows(encoder, bufferOf(tokens as StepTensor<GpuTensor>), scratch.tokens, 1, 1, chunk);
  }
  for (const [name, { buffer, width }] of plan.inputs) {
    const given = step.inputs[name]!; // resolveStep wants all of them
    if (!isDeviceTensor(given)) continue;
    copyRows(encoder, bufferOf(given as StepTensor<GpuTensor>), buffers[buffer.id]!, width, buffer.stride, chunk);
  }
}

/** The frame has seen that it is of this device. */
function bufferOf({ storage }: StepTensor<GpuTensor>): GPUBuffer {
  return storage.buffer;
}

/**
 * Rows of a tensor to rows of a buffer that are so many words apart; those that follow each other at once where these
 * are as wide.
 */
function copyRows(
  encoder: GPUCommandEncoder,
  from: GPUBuffer,
  to: GPUBuffer,
  width: number,
  stride: number,
  { segments }: PlacedChunk,
): void {
  for (const { first, source, rows } of width === stride ? joined(segments) : singleRows(segments)) {
    encoder.copyBufferToBuffer(from, 4 * source * width, to, 4 * first * stride, 4 * rows * width);
  }
}

type Rows = Pick<PlacedSegment, "first" | "source" | "rows">;

function joined(segments: readonly Rows[]): readonly Rows[] {
  const runs: Rows[] = [];
  for (const { first, source, rows } of segments) {
    const last = runs.at(-1);
    if (last !== undefined && last.source + last.rows === source && last.first + last.rows === first) {
      runs[runs.length - 1] = { ...last, rows: last.rows + rows };
    } else runs.push({ first, source, rows });
  }
  return runs;
}

function singleRows(segments: readonly Rows[]): readonly Rows[] {
  return segments.flatMap(({ first, source, rows }) =>
    Array.from({ length: rows }, (_, i) => ({ first: first + i, source: source + i, rows: 1 })),
  );
}
