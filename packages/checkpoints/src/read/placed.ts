// Reading a weight from where its tensor lies.

import { type RowRange, readCut, resolveRanges, type WeightInfo, type WeightRanges } from "@polyllama/core";
import { readInterleaved } from "../permute.ts";
import type { TensorPlace } from "./parts.ts";

/**
 * Rows and columns of a weight, in interleaved rotary order.
 *
 * @param headDim Rows of a head, of matrices that stand in half-split order.
 * @throws as `WeightSource.read` does.
 */
export async function readPlaced(
  info: WeightInfo,
  { source, offset, halfSplit, read: readPlace }: TensorPlace,
  headDim: number,
  ranges?: WeightRanges,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const cut = resolveRanges(info, ranges);
  if (readPlace !== undefined) return readPlace(info, cut, signal);
  const read = (rows: RowRange): Promise<Uint8Array<ArrayBuffer>> =>
    readCut({ ...cut, rows }, (start, length) => source.read(offset + start, length, signal));
  return halfSplit ? readInterleaved(cut.rows, headDim, cut.cutBytes, read) : read(cut.rows);
}
