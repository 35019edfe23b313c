// A chunk as it is going to run: its rows in terms of its step, and which of them are selected.

import type { ValueName } from "@polyllama/core";
import type { HostArray, StepPlaces } from "@polyllama/core/device";
import type { AcceptedStep, Chunk, WantedRows } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { TokenDraw } from "./draws.ts";
import type { PreparedPlan } from "./plans.ts";

/** The arrays of a step's inputs. */
export type HostInputs = Readonly<Record<ValueName, HostArray>>;

/** A sequence's keys and values in a step. */
export interface SequenceBlocks {
  readonly pool: bigint;
  readonly blockBytes: number;
  /** Number of the format. */
  readonly format: number;
  readonly table: Uint32Array;
  /** Place of its first row. */
  readonly start: number;
}

export interface ChunkRow {
  /** Row of the step. */
  readonly row: number;
  /** Number of its segment in the chunk. */
  readonly segment: number;
  /** Place among the sequence's keys and values. */
  readonly position: number;
  /** Position by which it is rotated. */
  readonly angle: number;
}

export interface ChunkJob {
  readonly accepted: AcceptedStep<PoolMemory>;
  readonly inputs: HostInputs;
  readonly prepared: PreparedPlan;
  readonly chunk: Chunk;
  readonly rows: readonly ChunkRow[];
  /** By segment. */
  readonly blocks: readonly (SequenceBlocks | undefined)[];
  readonly wanted: ReadonlyMap<ValueName, WantedRows>;
  /** Of all rows of the step. */
  readonly draws: readonly TokenDraw[];
}

export function rowsOf(
  { segments }: Chunk,
  { sequences }: StepPlaces,
  blocks: readonly (SequenceBlocks | undefined)[],
): readonly ChunkRow[] {
  return segments.flatMap(({ sequence, from, rows }, segment) => {
    const place = sequences[sequence]!; // cut from these
    const start = blocks[sequence]?.start ?? 0;
    return Array.from({ length: rows }, (_, i) => ({
      row: place.first + from + i,
      segment,
      position: start + from + i,
      angle: place.start + from + i,
    }));
  });
}
