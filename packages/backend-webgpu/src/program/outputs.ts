// Which rows of a chunk's values go to which of the step's outputs.

import type { ValueName } from "@polyllama/core";
import type { Place, Sink, SinkPart, TokenSink } from "@polyllama/planner";
import type { GpuTensor } from "../tensors.ts";
import type { PlacedChunk } from "./chunk.ts";

export type GpuSink = Sink<GpuTensor>;

/** Of an output what a chunk has. */
export type OutputPart = SinkPart<GpuSink>;

/** Of an output of drawn tokens. */
export type DrawPart = SinkPart<TokenSink<GpuTensor>>;

/** @param outputs Where the chunk's plan has its values. */
export function partsOf(
  { segments }: PlacedChunk,
  outputs: ReadonlyMap<ValueName, Place>,
  sinks: readonly GpuSink[],
): readonly OutputPart[] {
  const all = new Map<number, number>();
  const selected = new Map<number, number>();
  for (const { first, source, rows, ends } of segments) {
    for (let i = 0; i < rows; i++) all.set(source + i, first + i);
    if (ends) selected.set(source + rows - 1, selected.size);
  }
  return sinks.flatMap((sink): readonly OutputPart[] => {
    const place = outputs.get(sink.value); // none of an input
    if (place === undefined) return [];
    const indices = place.buffer.rows === "all" ? all : selected;
    const rows = sink.rows.flatMap((row, k) => {
      const index = indices.get(row);
      return index === undefined ? [] : [{ k, index }];
    });
    return rows.length === 0 ? [] : [{ sink, place, rows }];
  });
}
