// The chunks of a step: where the rows of each come from, and where their keys and values go.

import type { StepPlaces } from "@polyllama/core/device";
import { type Chunk, type ChunkMode, type ChunkSegment, cutChunks } from "@polyllama/planner";
import { splitsFor } from "../cache/layout.ts";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { PoolRows } from "../emit/dispatch.ts";
import type { Mode } from "../modes.ts";

/** Where a sequence has its keys and values in a step. */
export interface SequenceBlocks {
  readonly pool: PoolMemory;
  /** Numbers of its blocks in the pool. */
  readonly table: Uint32Array;
  /** Place of its first row among them. */
  readonly start: number;
}

/** Rows of one sequence within a chunk. */
export interface PlacedSegment extends ChunkSegment {
  /** First row in the step. */
  readonly source: number;
  /** Place among its keys and values, and position for rotation. */
  readonly start: number;
  readonly position: number;
  /** Undefined in graphs without attention. */
  readonly blocks: SequenceBlocks | undefined;
}

export interface PlacedChunk extends Chunk<Mode> {
  readonly segments: readonly PlacedSegment[];
}

/**
 * Cuts a step.
 *
 * @param blocks By sequence.
 * @param mostSplits Most pieces of keys that sequences of a decoding chunk may have together.
 */
export function placeChunks(
  { sequences }: StepPlaces,
  blocks: readonly (SequenceBlocks | undefined)[],
  modes: readonly ChunkMode<Mode>[],
  mostSplits: number,
): readonly PlacedChunk[] {
  return cutChunks(sequences, modes).flatMap((chunk) => {
    const segments = chunk.segments.map((segment): PlacedSegment => {
      const { first, start } = sequences[segment.sequence]!; // cut from these
      const own = blocks[segment.sequence];
      return {
        ...segment,
        source: first + segment.from,
        start: (own?.start ?? 0) + segment.from,
        position: start + segment.from,
        blocks: own,
      };
    });
    const placed = { ...chunk, segments };
    return chunk.mode === "decode" ? cutBySplits(placed, mostSplits) : [placed];
  });
}

/** Sequences of a decoding chunk advance by one row each. */
function cutBySplits(chunk: PlacedChunk, most: number): readonly PlacedChunk[] {
  const cut: PlacedSegment[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (const segment of chunk.segments) {
    const splits = splitsFor(segment.start + 1);
    if (filled + splits > most) {
      cut.push([]);
      filled = 0;
    }
    const own = cut.at(-1)!; // the first segment has begun one
    own.push({ ...segment, first: own.length });
    filled += splits;
  }
  return cut.map((segments) => ({ ...chunk, rows: segments.length, segments }));
}

/** Splits of all sequences of a chunk. */
export function splitsOf({ segments }: PlacedChunk): number {
  return segments.reduce((sum, { start, rows }) => sum + splitsFor(start + rows), 0);
}

/** How many rows are selected: the last one of each sequence. */
export function selectedRows({ segments }: Chunk): number {
  return segments.filter(({ ends }) => ends).length;
}

/** What a chunk has in each pool. */
export function poolRows({ segments }: PlacedChunk): ReadonlyMap<PoolMemory, PoolRows> {
  const pools = new Map<PoolMemory, PoolRows>();
  for (const { blocks, rows, start } of segments) {
    if (blocks === undefined) continue;
    const known = pools.get(blocks.pool) ?? { segments: segments.length, rows: 0, length: 0 };
    pools.set(blocks.pool, {
      ...known,
      rows: Math.max(known.rows, rows),
      length: Math.max(known.length, start + rows),
    });
  }
  return pools;
}
