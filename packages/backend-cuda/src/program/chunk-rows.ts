// A chunk's rows in terms of its step: which row of the step each one is, where its sequence's blocks are, and which
// rows are selected.

import type { StepPlaces } from "@polyllama/core/device";
import type { Chunk } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { RowBlocks } from "../kernels/row.ts";
import type { Mode } from "../modes.ts";

/** A sequence's keys and values in a step. */
export interface SequenceBlocks extends Omit<RowBlocks, "table"> {
  /** Numbers of its blocks. */
  readonly table: Uint32Array;
  /** Place of its first row. */
  readonly start: number;
}

export interface ChunkRow {
  /** Row of the step. */
  readonly row: number;
  /** Number of its sequence. */
  readonly sequence: number;
  /** Place among the sequence's keys and values. */
  readonly position: number;
  /** Position by which it is rotated. */
  readonly angle: number;
}

export interface ChunkRows {
  readonly mode: Mode;
  readonly rows: readonly ChunkRow[];
  /** Numbers within the chunk, by row of the step. */
  readonly numbers: ReadonlyMap<number, number>;
  /** Sequences that it has rows of. */
  readonly sequences: readonly number[];
  /** Whether each of them advances by one row. */
  readonly single: boolean;
  /** Positions that the longest of them has. */
  readonly longest: number;
}

export function chunkRowsOf(
  chunk: Chunk<Mode>,
  { sequences }: StepPlaces,
  blocks: readonly (SequenceBlocks | undefined)[],
): ChunkRows {
  const rows: ChunkRow[] = [];
  const numbers = new Map<number, number>();
  let longest = 1;
  for (const { sequence, from, rows: count } of chunk.segments) {
    const place = sequences[sequence]!; // cut from these
    const start = blocks[sequence]?.start ?? 0;
    for (let i = from; i < from + count; i++) {
      numbers.set(place.first + i, rows.length);
      rows.push({ row: place.first + i, sequence, position: start + i, angle: place.start + i });
    }
    longest = Math.max(longest, start + from + count);
  }
  // Segments are of these sequences.
  const single = chunk.segments.every(({ sequence }) => sequences[sequence]!.rows === 1);
  return {
    mode: chunk.mode,
    rows,
    numbers,
    sequences: chunk.segments.map(({ sequence }) => sequence),
    single,
    longest,
  };
}

/** Where the tables of sequences lie, behind one another. */
export function tableAddresses(
  sequences: readonly number[],
  blocks: readonly (SequenceBlocks | undefined)[],
  start: Handle,
): ReadonlyMap<number, Handle> {
  let at = start;
  return new Map(
    sequences.map((sequence) => {
      const address = at;
      at += BigInt(4 * (blocks[sequence]?.table.length ?? 0));
      return [sequence, address] as const;
    }),
  );
}
