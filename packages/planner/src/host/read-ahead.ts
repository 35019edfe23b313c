// The weights of a checkpoint in pieces of rows, some of which are read while others are put in place.

import { CheckpointError, type WeightInfo, type WeightSource } from "@polyllama/core";

/** Rows of a tensor that are read at once. */
export interface Piece {
  readonly info: WeightInfo;
  readonly first: number;
  readonly count: number;
}

/** Of a tensor of so many rows pieces of `step` rows, the last of which may be smaller. */
export function cutRows(info: WeightInfo, rows: number, step: number): readonly Piece[] {
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    return { info, first: i * step, count: Math.min(step, rows - i * step) };
  });
}

/** The bytes of a piece. @throws {CheckpointError} naming tensor and rows; the signal's reason */
export async function readPiece(
  source: WeightSource,
  { info, first, count }: Piece,
  signal: AbortSignal,
): Promise<Uint8Array> {
  try {
    return await source.read(info.name, { rows: { first, count } }, signal);
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.tensor !== undefined) throw error;
    const rows = `rows ${first} to ${first + count - 1} could not be read`;
    throw new CheckpointError({ file: error.file, tensor: info.name }, rows, error.message, { cause: error });
  }
}

/** Pieces in their order, with their numbers; as many as `readsAtOnce` are read or wait at the same time. */
export async function* readAhead(
  source: WeightSource,
  pieces: readonly Piece[],
  readsAtOnce: number,
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
