// Weights as f32 values, for backends that do not compute with stored blocks. Rows are read a few at a time, so that
// the stored bytes of a large tensor never stand in memory beside its values.

import {
  checkWeights,
  columnCount,
  cutWeight,
  type Graph,
  type Progress,
  resolveRanges,
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

/** The same weights, some of them in f32 with the exact values of their stored format. */
export function asF32(source: WeightSource, names: ReadonlySet<WeightName>): WeightSource {
  const isChanged = (info: WeightInfo): boolean => names.has(info.name) && info.format !== "f32";
  return {
    name: source.name,
    weights: new Map(
      [...source.weights].map(([name, info]) => [name, isChanged(info) ? { ...info, format: "f32" } : info]),
    ),
    async read(name, ranges, signal) {
      const info = source.weights.get(name);
      if (info === undefined || !isChanged(info)) return source.read(name, ranges, signal);
      const f32 = { ...info, format: "f32" } as const;
      const { rows } = resolveRanges(f32, ranges);
      const values = new Float32Array(rows.count * columnCount(info));
      const whole = info.shape.length === 1 ? {} : { rows };
      formats[info.format].dequantize(await source.read(name, whole, signal), values);
      const cut = info.shape.length === 1 ? f32 : { ...f32, shape: [rows.count, columnCount(info)] };
      return cutWeight(new Uint8Array(values.buffer), resolveRanges(cut, { columns: ranges?.columns }));
    },
    locate: (name) => (names.has(name) ? undefined : source.locate?.(name)),
    fingerprint: async () => `${await source.fingerprint()} in f32: ${[...names].join()}`,
  };
}
