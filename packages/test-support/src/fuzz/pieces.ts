// Bytes in pieces: a changed file shares what did not change with its original, so that files of megabytes can be
// spoiled a thousand times a second.

export type Pieces = readonly Uint8Array[];

export function sizeOf(pieces: Pieces): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** The bytes from `at` on, at most `length` of them. */
export function part(pieces: Pieces, at: number, length: number): Pieces {
  const kept: Uint8Array[] = [];
  let start = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(0, at - start), Math.min(piece.length, at + length - start)];
    if (from < to) kept.push(piece.subarray(from, to));
    start += piece.length;
  }
  return kept;
}

/** `remove` bytes at `at` replaced by others. */
export function splice(pieces: Pieces, at: number, remove: number, inserted: Pieces): Pieces {
  return [...part(pieces, 0, at), ...inserted, ...part(pieces, at + remove, Infinity)];
}

export function flatten(pieces: Pieces): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** What readers asked of a source. */
export interface Meter {
  bytes: number;
}
