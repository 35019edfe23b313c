// Hugging Face rotates the first half of a head against the second, Meta and this project rotate neighbours. The same
// trained matrix therefore has its rows in another order: within a head of width d, the row that Meta has at 2 i + j
// stands at j d/2 + i. Only wq and wk (by its own number of heads) are rotated; everything else is stored alike.

import type { RowRange } from "@polyllama/core";

/** Where a half-split matrix stores the row that belongs at `row` in interleaved order. */
export function halfSplitRow(row: number, headDim: number): number {
  const within = row % headDim;
  return row - within + (within % 2) * (headDim / 2) + Math.floor(within / 2);
}

/**
 * Rows in interleaved order out of a matrix stored half-split. Reads one contiguous run that covers them: at most one
 * head more than was asked for at either end.
 */
export async function readInterleaved(
  range: RowRange,
  headDim: number,
  rowBytes: number,
  read: (rows: RowRange) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  let least = Infinity;
  let most = -1;
  for (let row = range.first; row < range.first + range.count; row++) {
    const stored = halfSplitRow(row, headDim);
    least = Math.min(least, stored);
    most = Math.max(most, stored);
  }
  if (most < 0) return new Uint8Array(0);
  const bytes = await read({ first: least, count: most - least + 1 });
  const output = new Uint8Array(range.count * rowBytes);
  for (let i = 0; i < range.count; i++) {
    const start = (halfSplitRow(range.first + i, headDim) - least) * rowBytes;
    output.set(bytes.subarray(start, start + rowBytes), i * rowBytes);
  }
  return output;
}

/** Whole heads of rows in interleaved order, put into half-split order: what {@link readInterleaved} undoes. */
export function halfSplit(bytes: Uint8Array, headDim: number, rowBytes: number): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(bytes.length);
  for (let row = 0; row * rowBytes < bytes.length; row++) {
    output.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), halfSplitRow(row, headDim) * rowBytes);
  }
  return output;
}
