// A matrix that lies in slices, in several files: slices of rows follow one another, slices of columns stand side by side. A
// read touches the bytes of the rows that are asked for and no others.

import { columnCount, formatBytes, type RowRange, type WeightInfo } from "@polyllama/core";
import type { RowReader } from "./parts.ts";
import type { ByteSource } from "./sources/byte-source.ts";

interface Slice {
  readonly source: ByteSource;
  /** Its first byte. */
  readonly offset: number;
  /** Its rows, or its columns. */
  readonly size: number;
}

/** Reads rows of the joined matrix, whose slices are of rows (0) or of columns (1). Formats are those of single elements. */
export function readSliced(axis: 0 | 1, slices: readonly Slice[]): RowReader {
  const read = axis === 0 ? readRows : readColumns;
  return (info, range, signal) => read(slices, info, range, signal);
}

async function readRows(slices: readonly Slice[], info: WeightInfo, range: RowRange, signal?: AbortSignal) {
  const rowBytes = formatBytes(info.format, columnCount(info));
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let before = 0;
  for (const { source, offset, size } of slices) {
    const first = Math.max(0, range.first - before);
    const end = Math.min(size, range.first + range.count - before);
    if (first < end) pieces.push(await source.read(offset + first * rowBytes, (end - first) * rowBytes, signal));
    before += size;
  }
  if (pieces.length === 1) return pieces[0]!;
  const joined = new Uint8Array(range.count * rowBytes);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

async function readColumns(slices: readonly Slice[], info: WeightInfo, range: RowRange, signal?: AbortSignal) {
  const rowBytes = formatBytes(info.format, columnCount(info));
  const joined = new Uint8Array(range.count * rowBytes);
  let column = 0;
  for (const { source, offset, size } of slices) {
    const width = formatBytes(info.format, size);
    const bytes = await source.read(offset + range.first * width, range.count * width, signal);
    for (let row = 0; row < range.count; row++) {
      joined.set(bytes.subarray(row * width, (row + 1) * width), row * rowBytes + column);
    }
    column += width;
  }
  return joined;
}
