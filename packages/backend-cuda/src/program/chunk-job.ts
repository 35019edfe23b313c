// A chunk as it is going to run: its plan, and for each output which rows of the chunk go where.

import { type AcceptedStep, partsOf, type Sink, type SinkPart } from "@polyllama/planner";
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
  const { outputs } = prepared.plan;
  const wanted = sinks.flatMap(({ value, rows }) => (outputs.get(value)?.buffer.rows === "selected" ? rows : []));
  const rows = [...new Set(wanted)].filter((row) => chunk.numbers.has(row)).sort((a, b) => a - b);
  const parts = partsOf(sinks, outputs, { all: chunk.numbers, selected: new Map(rows.map((row, i) => [row, i])) });
  const selected = rows.map((row) => chunk.numbers.get(row)!); // those of the chunk
  return { accepted, chunk, prepared, blocks, selected, parts };
}
