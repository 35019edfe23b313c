// Rows and columns of a weight: what a source does with the ranges that it is asked for. Sources know where rows begin;
// that columns are whole blocks, and how rows are cut to them without holding the whole weight, is said here once for
// all of them.

import { OptionError } from "./errors.ts";
import { blockSizes, formatBytes } from "./formats.ts";
import { option } from "./option-types.ts";
import { checkOptions } from "./options.ts";
import {
  type ColumnRange,
  columnCount,
  type RowRange,
  rowCount,
  type WeightInfo,
  type WeightRanges,
} from "./weights.ts";

/** Rows and columns that a weight has, and where their bytes lie in it. */
export interface WeightCut {
  readonly rows: RowRange;
  readonly columns: ColumnRange;
  /** Bytes of a whole row. */
  readonly rowBytes: number;
  /** Bytes of a row before the first of the columns. */
  readonly skippedBytes: number;
  /** Bytes of the columns: what is left of a row. */
  readonly cutBytes: number;
}

/**
 * What of a weight is asked for.
 *
 * @throws {OptionError} for rows or columns that the weight does not have, and columns that cut a block of its format.
 */
export function resolveRanges(info: WeightInfo, ranges: WeightRanges = {}): WeightCut {
  checkOptions(ranges, { rows: option.anyObject, columns: option.anyObject }, `read(${JSON.stringify(info.name)})`);
  const width = columnCount(info);
  const rows = checkRange(info, "rows", ranges.rows, rowCount(info));
  const columns = checkRange(info, "columns", ranges.columns, width);
  const { blockSize } = blockSizes[info.format];
  if (columns.first % blockSize !== 0 || columns.count % blockSize !== 0) {
    throw new OptionError(
      `${info.name} is in blocks of ${blockSize} columns (${info.format}); columns ${columns.first} to ` +
        `${columns.first + columns.count} cut a block. Let them begin and end at multiples of ${blockSize}.`,
      { option: "columns", expected: `whole blocks of ${blockSize}`, value: columns },
    );
  }
  return {
    rows,
    columns,
    rowBytes: formatBytes(info.format, width),
    skippedBytes: formatBytes(info.format, columns.first),
    cutBytes: formatBytes(info.format, columns.count),
  };
}

function checkRange(
  { name, format }: WeightInfo,
  what: "rows" | "columns",
  range: RowRange | ColumnRange | undefined,
  all: number,
): RowRange | ColumnRange {
  if (range === undefined) return { first: 0, count: all };
  const { first, count } = range;
  if (Number.isInteger(first) && Number.isInteger(count) && first >= 0 && count >= 0 && first + count <= all)
    return range;
  const { blockSize } = blockSizes[format];
  const blocks = what === "columns" && blockSize > 1 ? ` in blocks of ${blockSize} (${format})` : "";
  throw new OptionError(`${name} has ${all} ${what}${blocks}; ${what} ${first} to ${first + count} do not exist.`, {
    option: what,
    expected: `${what} from 0 to ${all}`,
    value: range,
  });
}

/** Bytes of rows that are read at a time only to be cut. */
const pieceBytes = 4 * 2 ** 20;
/** Columns of more bytes are read alone, row by row: passing over what lies between costs more than another read. */
const aloneBytes = 2 ** 16;

/**
 * Reads a cut of a weight whose whole rows follow one another: in one read where it is of whole rows; otherwise row by
 * row where the columns are long, and else in pieces of at most 4 MiB that are cut.
 *
 * @param read Reads bytes, counted from the weight's first one.
 * @throws What `read` throws.
 */
export async function readCut(
  { rows, rowBytes, skippedBytes, cutBytes }: WeightCut,
  read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (cutBytes === rowBytes) return read(rows.first * rowBytes, rows.count * rowBytes);
  const output = new Uint8Array(rows.count * cutBytes);
  if (output.length === 0) return output;
  const step = cutBytes > aloneBytes ? 1 : Math.max(1, Math.floor(pieceBytes / rowBytes));
  for (let done = 0; done < rows.count; done += step) {
    const count = Math.min(step, rows.count - done);
    const start = (rows.first + done) * rowBytes + skippedBytes;
    // not what precedes the first, or follows the last
    const bytes = await read(start, (count - 1) * rowBytes + cutBytes);
    for (let row = 0; row < count; row++) {
      output.set(bytes.subarray(row * rowBytes, row * rowBytes + cutBytes), (done + row) * cutBytes);
    }
  }
  return output;
}

/** A copy of the cut out of a weight's bytes, which stand in memory whole. */
export function cutWeight(bytes: Uint8Array, cut: WeightCut): Uint8Array<ArrayBuffer> {
  const { rows, rowBytes, skippedBytes, cutBytes } = cut;
  const output = new Uint8Array(rows.count * cutBytes);
  if (cutBytes === rowBytes) output.set(bytes.subarray(rows.first * rowBytes, (rows.first + rows.count) * rowBytes));
  else {
    for (let row = 0; row < rows.count; row++) {
      const start = (rows.first + row) * rowBytes + skippedBytes;
      output.set(bytes.subarray(start, start + cutBytes), row * cutBytes);
    }
  }
  return output;
}
