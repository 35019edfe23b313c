// What the library is told of a chunk, in one piece of memory: the run, its rows and sequences with their tables of
// blocks, cosines and sines, which rows are selected, what is to be drawn, and behind all that its steps.

import { exp2Table, type ValueName } from "@polyllama/core";
import { encodeRow, encodeSequence, rowBytes, runBytes, sequenceBytes } from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import type { ChunkJob } from "./chunk-job.ts";
import { drawBytes, encodeDraw, type TokenDraw } from "./draws.ts";

/** Offsets in bytes. */
export interface Layout {
  readonly rows: number;
  readonly sequences: number;
  readonly rotations: number;
  readonly selection: number;
  readonly tables: number;
  /** Core's table of powers, for draws. */
  readonly powers: number;
  readonly draws: number;
  /** Drawn tokens, u32. */
  readonly chosen: number;
  readonly steps: number;
}

/** A draw from a row of a buffer of the chunk. */
export interface PlacedDraw {
  readonly draw: TokenDraw;
  readonly row: number;
}

export function layOut({ rows, blocks, prepared }: ChunkJob, selected: number, draws: number): Layout {
  let end = 0;
  const place = (bytes: number): number => {
    const start = end;
    end = Math.ceil((start + bytes) / 64) * 64;
    return start;
  };
  place(runBytes);
  return {
    rows: place(rowBytes * rows.length),
    sequences: place(sequenceBytes * blocks.length),
    rotations: place(8 * prepared.plan.rotationStride * rows.length),
    selection: place(4 * selected),
    tables: place(4 * blocks.reduce((sum, own) => sum + (own?.table.length ?? 0), 0)),
    powers: place(draws === 0 ? 0 : exp2Table.byteLength),
    draws: place(drawBytes * draws),
    chosen: place(4 * draws),
    steps: end,
  };
}

/** Writes all of it but the run and the steps. @param selection Rows of the chunk. */
export function describe(
  job: ChunkJob,
  layout: Layout,
  selection: readonly number[],
  draws: readonly PlacedDraw[],
  told: Arena,
): void {
  const { rows, chunk, blocks, prepared, inputs } = job;
  const view = told.view();
  const tokens = prepared.plan.tokens === undefined ? undefined : inputs[prepared.plan.tokens];
  for (const [n, { row, segment, position }] of rows.entries()) {
    encodeRow(view, layout.rows + rowBytes * n, tokens?.[row] ?? 0, segment, position);
  }
  let table = layout.tables;
  for (const [i, { first, rows: count }] of chunk.segments.entries()) {
    const own = blocks[i] ?? { pool: 0n, table: new Uint32Array(), blockBytes: 0, format: 0 };
    encodeSequence(view, layout.sequences + sequenceBytes * i, {
      pool: own.pool,
      table: told.ref + BigInt(table),
      blockBytes: BigInt(own.blockBytes),
      first,
      rows: count,
      format: own.format,
    });
    told.wordsAt(table, own.table.length).set(own.table);
    table += 4 * own.table.length;
  }
  const angles = rows.map(({ angle }) => angle);
  const pairs = 2 * prepared.plan.rotationStride * rows.length;
  prepared.rotations.write(angles, told.floatsAt(layout.rotations, pairs));
  told.wordsAt(layout.selection, selection.length).set(selection);
  if (draws.length > 0) told.wordsAt(layout.powers, exp2Table.length).set(exp2Table);
  for (const [i, { draw, row }] of draws.entries()) encodeDraw(view, layout.draws + drawBytes * i, draw, row);
}

/** Writes the chunk's rows of an input of the graph: `stride` words for each. */
export function writeRows(
  { inputs, rows }: ChunkJob,
  value: ValueName,
  width: number,
  target: Float32Array,
  stride: number,
): void {
  const values = inputs[value]!; // the frame saw that it is there
  if (width < stride) target.fill(0);
  for (const [n, { row }] of rows.entries()) target.set(values.subarray(row * width, (row + 1) * width), n * stride);
}
