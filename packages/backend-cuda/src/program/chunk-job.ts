// A chunk as it is going to run: its plan, and for each output which rows of the chunk go where.

import type { AcceptedStep, Sink, SinkPart } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { CudaTensor } from "../tensors.ts";
import type { ChunkRows, SequenceBlocks } from "./chunk-rows.ts";
import type { PreparedPlan } from "./plans.ts";

export type CudaSink = Sink<CudaTensor>;

/** Of an output what a chunk has. */
export type OutputPart = SinkPart<CudaSink>;

export interface ChunkJob {
  readonly accepted: AcceptedStep<PoolMemory>;
  readonly chunk: ChunkRows;
  readonly prepared: PreparedPlan;
  /** By sequence. */
  readonly blocks: readonly (SequenceBlocks | undefined)[];
  /** Rows of the chunk that are selected; none where the plan selects none. */
  readonly selected: readonly number[];
  readonly parts: readonly OutputPart[];
}

export function chunkJob(
  accepted: AcceptedStep<PoolMemory>,
  chunk: ChunkRows,
  prepared: PreparedPlan,
  blocks: readonly (SequenceBlocks | undefined)[],
  sinks: readonly CudaSink[],
): ChunkJob {
  const { plan } = prepared;
  const placed = sinks.flatMap((sink) => {
    const place = plan.outputs.get(sink.value); // none of an input
    const rows = sink.rows.flatMap((row, k) => {
      const n = chunk.numbers.get(row);
      return n === undefined ? [] : [{ k, n }];
    });
    return place === undefined || rows.length === 0 ? [] : [{ sink, place, rows }];
  });
  const wanted = placed.filter(({ place }) => place.buffer.rows === "selected").flatMap(({ rows }) => rows);
  const selected = [...new Set(wanted.map(({ n }) => n))].sort((a, b) => a - b);
  const numbers = new Map(selected.map((n, index) => [n, index]));
  const parts = placed.map(({ sink, place, rows }) => {
    const indexOf = (n: number): number => (place.buffer.rows === "all" ? n : numbers.get(n)!); // selected above
    return { sink, place, rows: rows.map(({ k, n }) => ({ k, index: indexOf(n) })) };
  });
  return { accepted, chunk, prepared, blocks, selected, parts };
}
