// How weights are cut into the pieces that they are read in: whole groups of rows.

import { columnCount, formatBytes, rowCount, type WeightInfo } from "@polyllama/core";
import { cutRows, type Piece } from "@polyllama/planner";
import { groupRows } from "../modes.ts";

/** Bytes that are read from the source at once. */
const pieceBytes = 4 << 20;
/** Pieces that are read or wait at the same time; Node reads with four threads, one of which computes. */
export const readsAtOnce = 4;

export function storedBytes(info: WeightInfo, rows: number): number {
  return formatBytes(info.format, rows * columnCount(info));
}

/** A tensor in pieces of about as many bytes. */
export function piecesOf(info: WeightInfo, bytes: number = pieceBytes): readonly Piece[] {
  const rows = rowCount(info);
  const groups = Math.max(1, Math.floor(bytes / storedBytes(info, groupRows)));
  return cutRows(info, rows, groupRows * groups);
}
