// A tensor on its way from one checkpoint into another: rows are read a few MiB at a time, converted on the pool's
// threads while the next ones are being read, and come out in order.

import { CheckpointError, columnCount, formatBytes, type RowRange, rowCount, type WeightSource } from "@polyllama/core";
import { assertFinite, formats, isWritable } from "@polyllama/formats";
import { halfSplit } from "../permute.ts";
import type { QuantizerPool } from "../quantize/pool.ts";
import type { PlannedTensor } from "./formats.ts";

/** Values of a piece: some 4 MiB as f32. */
const pieceValues = 2 ** 20;
/** Pieces that are read or converted at a time. */
const mostUnderWay = 3;

/**
 * The bytes of a planned tensor, in pieces and in order.
 *
 * @param headDim For a matrix whose rows shall stand in half-split rotary order: rows of a head.
 * @throws {CheckpointError} for NaN or infinite weights, and for values beyond the range of the format.
 */
export async function* convertedRows(
  source: WeightSource,
  tensor: PlannedTensor,
  pool: QuantizerPool,
  options: { readonly headDim?: number | undefined; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { headDim = 1, signal } = options;
  const columns = columnCount(tensor.source);
  const rows = rowCount(tensor.source);
  const step = headDim * Math.max(1, Math.floor(pieceValues / columns / headDim));
  const convert = async (first: number): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = await convertPiece(source, tensor, { first, count: Math.min(step, rows - first) }, pool, signal);
    return headDim === 1 ? bytes : halfSplit(bytes, headDim, formatBytes(tensor.format, columns));
  };

  const pending: Promise<Uint8Array<ArrayBuffer>>[] = [];
  try {
    for (let first = 0; first < rows || pending.length > 0; ) {
      while (first < rows && pending.length < mostUnderWay) {
        pending.push(convert(first));
        pending.at(-1)?.catch(() => undefined); // it is met below, or given up with the others
        first += step;
      }
      yield await pending[0]!;
      pending.shift();
    }
  } finally {
    await Promise.allSettled(pending); // nothing reads on once this has ended
  }
}

async function convertPiece(
  source: WeightSource,
  { source: info, format }: PlannedTensor,
  range: RowRange,
  pool: QuantizerPool,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(info.name, { rows: range }, signal);
  assertFinite(source, info, bytes, range.first);
  if (format === info.format || !isWritable(format)) return bytes; // what cannot be written is only ever kept
  const values = new Float32Array(range.count * columnCount(info));
  formats[info.format].dequantize(bytes, values);
  const written = await pool.quantize(values, format, signal);
  if (formats[format].findNonFinite(written) >= 0) {
    throw new CheckpointError(
      { file: source.name, tensor: info.name },
      `rows ${range.first} to ${range.first + range.count - 1} hold values beyond the range of ${format}`,
      "Choose bf16 or f32 for this tensor.",
    );
  }
  return written;
}
