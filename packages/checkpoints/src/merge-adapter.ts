// A model with an adapter merged into it: W + scale B A in the place of each matrix that the adapter changes. It is a
// view, which computes rows as they are read, so that a 7B model is written with no more memory than a piece of it.

import {
  type AdapterSource,
  adapterOf,
  CheckpointError,
  columnCount,
  cutWeight,
  resolveRanges,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite, formats, readValues } from "@polyllama/formats";
import { type Checkpoint, findWeight } from "./checkpoint.ts";

/** Raised when the same adapter would give other values than before. */
const mergingVersion = 1;

/**
 * The weights with an adapter merged: matrices that it changes are f32, each the rounded sum; weights that it brings
 * whole take the place of the model's, in its format; all others stay as they are stored. Quantize the result
 * (`quantized`, or a writer's `format`) to have blocks again. Disposing the result of a checkpoint disposes that one,
 * and leaves the adapter open.
 *
 * @throws {CheckpointError} for an adapter of another model.
 */
export function mergeAdapter(source: Checkpoint, adapter: AdapterSource): Checkpoint;
export function mergeAdapter(source: WeightSource, adapter: AdapterSource): WeightSource;
export function mergeAdapter(source: Checkpoint | WeightSource, adapter: AdapterSource): Checkpoint | WeightSource {
  const weights = mergedWeights(source, adapter);
  const merged: WeightSource = {
    name: source.name,
    weights,
    async read(name, ranges, signal) {
      const info = findWeight(weights, name, source.name);
      if (adapter.weights.has(name)) return adapter.read(name, ranges, signal);
      if (!adapter.adapters.has(name)) return source.read(name, ranges, signal);
      const cut = resolveRanges(info, ranges);
      const values = await mergedRows(source, adapter, name, cut.rows, signal);
      return cutWeight(new Uint8Array(values.buffer), { ...cut, rows: { first: 0, count: cut.rows.count } });
    },
    locate: (name) => (weights.get(name) === source.weights.get(name) ? source.locate?.(name) : undefined),
    fingerprint: async () =>
      JSON.stringify([await source.fingerprint(), "merged", mergingVersion, await adapter.fingerprint()]),
  };
  return "kind" in source ? { ...source, ...merged } : merged;
}

/** @throws {CheckpointError} for what the model does not have. */
function mergedWeights(source: WeightSource, adapter: AdapterSource): ReadonlyMap<WeightName, WeightInfo> {
  const weights = new Map(source.weights);
  const halves = new Set([...adapter.adapters.keys()].flatMap(adapterOf));
  for (const name of adapter.adapters.keys()) {
    const info = source.weights.get(name);
    const [a, b] = adapterOf(name).map((half) => adapter.weights.get(half));
    const fits = info !== undefined && a?.shape[1] === info.shape[1] && b?.shape[0] === info.shape[0];
    if (!fits || a?.shape[0] !== b?.shape[1]) throw unfit(adapter, name, source);
    weights.set(name, { ...info, format: "f32" });
  }
  for (const [name, info] of adapter.weights) {
    if (halves.has(name)) continue;
    if (String(source.weights.get(name)?.shape) !== String(info.shape)) throw unfit(adapter, name, source);
    weights.set(name, info);
  }
  return weights;
}

function unfit({ name: file }: AdapterSource, tensor: WeightName, source: WeightSource): CheckpointError {
  return new CheckpointError(
    { file, tensor },
    `${source.name} has no such weight, or one of another shape`,
    "Use an adapter that was trained for this model.",
  );
}

/** Rows of W + scale B A. */
async function mergedRows(
  source: WeightSource,
  adapter: AdapterSource,
  name: WeightName,
  rows: { readonly first: number; readonly count: number },
  signal: AbortSignal | undefined,
): Promise<Float32Array<ArrayBuffer>> {
  const { rank: r, scale } = adapter.adapters.get(name)!; // whoever asks has seen it
  const info = findWeight(source.weights, name, source.name);
  const K = columnCount(info);
  const [aName, bName] = adapterOf(name);
  const a = await readValues(adapter, findWeight(adapter.weights, aName, adapter.name), signal); // [r, K]
  const bInfo = findWeight(adapter.weights, bName, adapter.name);
  const bBytes = await adapter.read(bName, { rows }, signal);
  assertFinite(adapter, bInfo, bBytes, rows.first);
  const b = new Float32Array(rows.count * r); // [rows, r]
  formats[bInfo.format].dequantize(bBytes, b);
  const bytes = await source.read(name, { rows }, signal);
  assertFinite(source, info, bytes, rows.first);
  const merged = new Float32Array(rows.count * K); // [rows, K]
  formats[info.format].dequantize(bytes, merged);
  const sums = new Float64Array(K);
  for (let row = 0; row < rows.count; row++) {
    sums.fill(0);
    for (let i = 0; i < r; i++) {
      const factor = b[row * r + i]!;
      for (let k = 0; k < K; k++) sums[k]! += factor * a[i * K + k]!;
    }
    for (let k = 0; k < K; k++) merged[row * K + k]! += scale * sums[k]!; // in f64, and rounded once
  }
  return merged;
}
