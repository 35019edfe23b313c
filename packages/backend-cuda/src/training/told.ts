// What the host tells the card of a step of training, in one copy: a flag, the rows with their tokens, the bounds of their
// sequences, and cosines and sines, for turning rows back behind those for turning them.

import type { StepPlaces } from "@polyllama/core/device";
import type { PreparedTraining } from "@polyllama/planner";
import { noBlocks, rowBytes, writeRow } from "../kernels/row.ts";

/** Offsets in bytes. */
export interface ToldLayout {
  /** u32, 0: not 0 where something that updates are made of is not finite. */
  readonly flag: number;
  readonly rows: number;
  /** u32 [N, 2]: the first row of a row's sequence and the row behind its last. */
  readonly bounds: number;
  /** (cos, sin) [N, rotationStride]. */
  readonly rotations: number;
  /** (cos, -sin) */
  readonly backwards: number;
  readonly bytes: number;
}

export function toldLayout(rows: number, { rotationStride }: PreparedTraining): ToldLayout {
  let end = 0;
  const place = (bytes: number): number => {
    const start = end;
    end = Math.ceil((start + bytes) / 16) * 16;
    return start;
  };
  const table = 8 * rotationStride * rows;
  return {
    flag: place(4),
    rows: place(rowBytes * rows),
    bounds: place(8 * rows),
    rotations: place(table),
    backwards: place(table),
    bytes: end,
  };
}

/** @param tokens Of each row, where the plan looks some up. */
export function writeTold(
  buffer: ArrayBuffer,
  layout: ToldLayout,
  { rows, sequences }: StepPlaces,
  { rotationStride, table }: PreparedTraining,
  tokens: Int32Array | undefined,
): void {
  const view = new DataView(buffer);
  new Uint8Array(buffer, 0, layout.bytes).fill(0);
  const bounds = new Uint32Array(buffer, layout.bounds, 2 * rows);
  const positions: number[] = [];
  for (const { first, rows: count, start } of sequences) {
    for (let n = first; n < first + count; n++) {
      bounds.set([first, first + count], 2 * n);
      const position = start + n - first;
      positions.push(position);
      writeRow(view, layout.rows + rowBytes * n, { token: tokens?.[n] ?? 0, blocks: noBlocks, position });
    }
  }
  if (rotationStride === 0 || rows === 0) return;
  const pairs = 2 * rotationStride * rows;
  const rotations = new Float32Array(buffer, layout.rotations, pairs);
  table.write(positions, rotations);
  const backwards = new Float32Array(buffer, layout.backwards, pairs);
  for (let i = 0; i < pairs; i += 2) {
    backwards[i] = rotations[i]!; // within both
    backwards[i + 1] = -rotations[i + 1]!;
  }
}
