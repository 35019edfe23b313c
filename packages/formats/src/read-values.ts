// Weights as f32 values, for backends that do not compute with stored blocks. Rows are read a few at a time, so that
// the stored bytes of a large tensor never stand in memory beside its values.

import {
  checkWeights,
  columnCount,
  type Graph,
  type Progress,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite } from "./finite.ts";
import { formats } from "./formats.ts";

/** A weight and its values. */
export interface WeightValues {
  readonly info: WeightInfo;
  /** [rows, columns], the exact values of the stored format. */
  readonly values: Float32Array;
}

/** What reading values tells and hears. */
export interface LoadValuesOptions {
  /** Values so far, in bytes. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called with stored bytes of each weight, from this row on, as they come. */
  readonly onRows?: (info: WeightInfo, bytes: Uint8Array, first: number) => void;
  /** Weights that the caller has already. */
  readonly except?: ReadonlyMap<WeightName, unknown>;
  readonly signal?: AbortSignal;
}

/**
 * The values of all weights of some graphs.
 *
 * @throws {CheckpointError} for weights that are missing, misshapen, NaN or infinite; the signal's reason.
 */
export async function loadValues(
  graphs: readonly Graph[],
  source: WeightSource,
  { onProgress, onRows, except, signal }: LoadValuesOptions = {},
): Promise<ReadonlyMap<WeightName, WeightValues>> {
  const infos = new Map(graphs.flatMap((graph) => checkWeights(graph, source)).map((info) => [info.name, info]));
  for (const name of except?.keys() ?? []) infos.delete(name);
  let total = 0;
  for (const info of infos.values()) total += 4 * rowCount(info) * columnCount(info);
  const loaded = new Map<WeightName, WeightValues>();
  let done = 0;
  for (const info of infos.values()) {
    const rowBytes = 4 * columnCount(info);
    const values = await readValues(source, info, signal, (bytes, first, count) => {
      onRows?.(info, bytes, first);
      done += count * rowBytes;
      onProgress?.({ phase: "dequantizing weights", done, total });
    });
    loaded.set(info.name, { info, values });
  }
  return loaded;
}

/** Elements that are read at once: 64 MiB of values. */
const readElements = 2 ** 24;

/**
 * The values of one weight [rows, columns].
 *
 * @param onRows Called with stored bytes as they come.
 * @throws {CheckpointError}; the signal's reason.
 */
export async function readValues(
  source: WeightSource,
  info: WeightInfo,
  signal?: AbortSignal,
  onRows?: (bytes: Uint8Array, first: number, count: number) => void,
): Promise<Float32Array> {
  const columns = columnCount(info);
  const values = new Float32Array(rowCount(info) * columns);
  const step = Math.max(1, Math.floor(readElements / columns));
  for (let first = 0; first < rowCount(info); first += step) {
    signal?.throwIfAborted();
    const count = Math.min(step, rowCount(info) - first);
    const bytes = await source.read(info.name, { rows: { first, count } }, signal);
    assertFinite(source, info, bytes, first);
    formats[info.format].dequantize(bytes, values.subarray(first * columns, (first + count) * columns));
    onRows?.(bytes, first, count);
  }
  return values;
}
