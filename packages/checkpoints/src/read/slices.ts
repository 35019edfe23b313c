// A matrix that lies in slices, in several files: slices of rows follow one another, slices of columns stand side by
// side. A read touches the slices that have something of what is asked for, and no others.

import { formatBytes, type RowRange, readCut, type WeightCut, type WeightInfo } from "@polyllama/core";
import type { CutReader } from "./parts.ts";
import type { ByteSource } from "./sources/byte-source.ts";

interface Slice {
  readonly source: ByteSource;
  /** Its first byte. */
  readonly offset: number;
  /** Its rows, or its columns. */
  readonly size: number;
}

/** Reads the joined matrix, whose slices are of rows (0) or of columns (1). Formats are those of single elements. */
export function readSliced(axis: 0 | 1, slices: readonly Slice[]): CutReader {
  const read = axis === 0 ? readRows : readColumns;
  return (info, cut, signal) => read(slices, info, cut, signal);
}

async function readRows(slices: readonly Slice[], _: WeightInfo, cut: WeightCut, signal?: AbortSignal) {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let before = 0;
  for (const { source, offset, size } of slices) {
    const rows = within(cut.rows, before, size);
    if (rows.count > 0) {
      pieces.push(await readCut({ ...cut, rows }, (start, length) => source.read(offset + start, length, signal)));
    }
    before += size;
  }
  if (pieces.length === 1) return pieces[0]!;
  const joined = new Uint8Array(cut.rows.count * cut.cutBytes);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

async function readColumns(slices: readonly Slice[], { format }: WeightInfo, cut: WeightCut, signal?: AbortSignal) {
  const { rows, cutBytes } = cut;
  const joined = new Uint8Array(rows.count * cutBytes);
  let before = 0;
  let at = 0;
  for (const { source, offset, size } of slices) {
    const columns = within(cut.columns, before, size);
    before += size;
    if (columns.count === 0) continue;
    const rowBytes = formatBytes(format, size);
    const skippedBytes = formatBytes(format, columns.first);
    const width = formatBytes(format, columns.count);
    const bytes = await readCut({ rows, columns, rowBytes, skippedBytes, cutBytes: width }, (start, length) =>
      source.read(offset + start, length, signal),
    );
    for (let row = 0; row < rows.count; row++) {
      joined.set(bytes.subarray(row * width, (row + 1) * width), row * cutBytes + at);
    }
    at += width;
  }
  return joined;
}

/** What of a range lies in a slice of `size` that has `before` in front of it, counted from the slice's beginning. */
function within({ first, count }: RowRange, before: number, size: number): RowRange {
  const start = Math.min(Math.max(0, first - before), size);
  const end = Math.min(Math.max(start, first + count - before), size);
  return { first: start, count: end - start };
}
