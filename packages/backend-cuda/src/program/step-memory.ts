// What the host tells the card of a chunk, in one copy: where drawn tokens are, the rows, cosines and sines, which rows
// are selected, what is to be drawn, which rows are gathered for tensors, and the tables of blocks. Recorded launches
// hold addresses of all but the last two, so that everything else has its place whatever the lengths of sequences.

import { rowBytes } from "../kernels/row.ts";
import { drawBytes } from "../kernels/sample.ts";

/** Counts of what a chunk has. */
export interface StepCounts {
  readonly rows: number;
  /** Pairs of cosine and sine in a row. */
  readonly rotationStride: number;
  readonly selected: number;
  /** Numbers of rows that are gathered for tensors. */
  readonly gathered: number;
  readonly draws: number;
  /** Entries of all tables. */
  readonly blocks: number;
}

/** Offsets in bytes. */
export interface StepLayout {
  /** Address of the tokens that rows have the numbers of, or 0. */
  readonly tokens: number;
  readonly rows: number;
  readonly rotations: number;
  readonly selection: number;
  readonly gathered: number;
  readonly draws: number;
  readonly tables: number;
  readonly bytes: number;
}

export function stepLayout({ rows, rotationStride, selected, gathered, draws, blocks }: StepCounts): StepLayout {
  let end = 0;
  const place = (bytes: number): number => {
    const start = end;
    end = Math.ceil((start + bytes) / 16) * 16;
    return start;
  };
  return {
    tokens: place(8),
    rows: place(rowBytes * rows),
    rotations: place(8 * rotationStride * rows),
    selection: place(4 * selected),
    draws: place(drawBytes * draws),
    gathered: place(4 * gathered),
    tables: place(4 * blocks),
    bytes: end,
  };
}
