// Which rows of a chunk's values go to which of the step's outputs.

import type { RowSet, Sink, SinkPart, TokenSink } from "@polyllama/planner";
import type { GpuTensor } from "../tensors.ts";
import type { PlacedChunk } from "./chunk.ts";

export type GpuSink = Sink<GpuTensor>;

/** Of an output what a chunk has. */
export type OutputPart = SinkPart<GpuSink>;

/** Of an output of drawn tokens. */
export type DrawPart = SinkPart<TokenSink<GpuTensor>>;

/** By row of the step, rows of the buffers of a chunk: the last row of each sequence is selected. */
export function rowIndices({ segments }: PlacedChunk): Readonly<Record<RowSet, ReadonlyMap<number, number>>> {
  const all = new Map<number, number>();
  const selected = new Map<number, number>();
  for (const { first, source, rows, ends } of segments) {
    for (let i = 0; i < rows; i++) all.set(source + i, first + i);
    if (ends) selected.set(source + rows - 1, selected.size);
  }
  return { all, selected };
}
