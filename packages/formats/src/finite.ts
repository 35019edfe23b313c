// The check of weights for NaN and infinities.

import { CheckpointError, type ColumnRange, columnCount, type WeightInfo, type WeightSource } from "@polyllama/core";
import { formats } from "./formats.ts";

/**
 * Refuses weights that are NaN or infinite: they would turn every logit into NaN far from their cause. For backends, on
 * whatever rows they have read; `firstRow` is the row where `bytes` starts, `columns` what its rows are cut to.
 *
 * @throws {CheckpointError} naming the tensor and the row.
 */
export function assertFinite(
  source: Pick<WeightSource, "name">,
  info: WeightInfo,
  bytes: Uint8Array,
  firstRow = 0,
  columns: ColumnRange = { first: 0, count: columnCount(info) },
): void {
  const { blockSize, findNonFinite } = formats[info.format];
  const block = findNonFinite(bytes);
  if (block < 0) return;
  const element = block * blockSize;
  const row = firstRow + Math.floor(element / columns.count);
  const column = columns.first + (element % columns.count);
  const where = blockSize === 1 ? `column ${column}` : `columns ${column} to ${column + blockSize - 1}`;
  throw new CheckpointError(
    { file: source.name, tensor: info.name },
    `row ${row}, ${where}, holds a NaN or an infinity (format ${info.format})`,
    "The weights are damaged or overflowed when they were converted; download or convert them again.",
  );
}
