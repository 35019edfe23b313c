// The weights of a checkpoint in pieces, some of which are read while others are put in place.

import {
  CheckpointError,
  columnCount,
  formatBytes,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { groupRows } from "../modes.ts";

/** Bytes that are read from the source at once. */
const pieceBytes = 4 << 20;
/** Pieces that are read or wait at the same time; Node reads with four threads, one of which computes. */
const readsAtOnce = 4;

/** Rows of a tensor that are read at once, from a multiple of 16 on. */
export interface Piece {
  readonly info: WeightInfo;
  readonly first: number;
  readonly count: number;
}

export function storedBytes(info: WeightInfo, rows: number): number {
  return formatBytes(info.format, rows * columnCount(info));
}

/** A tensor in pieces of about as many bytes. */
export function piecesOf(info: WeightInfo, bytes: number = pieceBytes): readonly Piece[] {
  const rows = rowCount(info);
  const groups = Math.max(1, Math.floor(bytes / storedBytes(info, groupRows)));
  const step = groupRows * groups;
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    return { info, first: i * step, count: Math.min(step, rows - i * step) };
  });
}

async function readPiece(source: WeightSource, { info, first, count }: Piece, signal: AbortSignal) {
  try {
    return await source.read(info.name, { rows: { first, count } }, signal);
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.tensor !== undefined) throw error;
    const rows = `rows ${first} to ${first + count - 1} could not be read`;
    throw new CheckpointError({ file: error.file, tensor: info.name }, rows, error.message, { cause: error });
  }
}

/** Pieces in their order, with their numbers; those behind are being read meanwhile. */
export async function* readAhead(
  source: WeightSource,
  pieces: readonly Piece[],
  signal: AbortSignal,
): AsyncGenerator<readonly [number, Uint8Array]> {
  const reads: Promise<Uint8Array>[] = [];
  let begun = 0;
  try {
    for (const number of pieces.keys()) {
      for (; begun < pieces.length && reads.length < readsAtOnce; begun++) {
        const read = readPiece(source, pieces[begun]!, signal); // below their number
        read.catch(() => undefined); // it is awaited in its turn
        reads.push(read);
      }
      const bytes = await reads.shift()!; // this piece's, begun above
      signal.throwIfAborted();
      yield [number, bytes];
    }
  } finally {
    await Promise.allSettled(reads); // the source may be closed when this has ended
  }
}
