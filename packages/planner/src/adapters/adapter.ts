// An adapter's matrices as they come from its source. They are checked and kept on the host, as the source need not
// stay readable and what devices hold of them is made anew when other adapters come or go.

import { adapterOf, CheckpointError, type WeightInfo, type WeightName, type WeightSource } from "@polyllama/core";
import type { AdapterOptions } from "@polyllama/core/device";

/** What is added to a matrix W [M, K]: scale B A. */
export interface LowRankMatrices {
  /** [r, K] */
  readonly a: Float32Array;
  /** [M, r] */
  readonly b: Float32Array;
  readonly rank: number;
  readonly scale: number;
}

/** By the matrix that it changes. */
export type Adapter = ReadonlyMap<WeightName, LowRankMatrices>;

/** The values of a weight [rows, columns] in f32. @throws {CheckpointError}; the signal's reason */
export type ReadValues = (source: WeightSource, info: WeightInfo, signal?: AbortSignal) => Promise<Float32Array>;

/**
 * Reads an adapter.
 *
 * @param linears The matrices that linears multiply with.
 * @throws {CheckpointError} for one that does not fit, and for whole weights; the signal's reason
 */
export async function readAdapter(
  linears: Iterable<WeightInfo>,
  source: WeightSource,
  { scale = 1 }: AdapterOptions,
  readValues: ReadValues,
  signal?: AbortSignal,
): Promise<Adapter> {
  const adapter = new Map<WeightName, LowRankMatrices>();
  const rest = new Set(source.weights.keys());
  for (const info of linears) {
    const [a, b] = adapterOf(info.name).map((name) => source.weights.get(name));
    if (a === undefined && b === undefined) continue;
    if (a === undefined || b === undefined || !fits(info, a, b)) {
      throw new CheckpointError(
        { file: source.name, tensor: info.name },
        `its adapter has shapes [${a?.shape}] and [${b?.shape}], where the weight is [${info.shape}]`,
        "An adapter needs A [r, columns] and B [rows, r]; use one that was trained for this model.",
      );
    }
    adapter.set(info.name, {
      a: await readValues(source, a, signal),
      b: await readValues(source, b, signal),
      rank: a.shape[0]!, // it has two dimensions, as `fits` saw
      scale: typeof scale === "number" ? scale : (scale.get(info.name) ?? 1),
    });
    for (const { name } of [a, b]) rest.delete(name);
  }
  if (adapter.size === 0) {
    throw new CheckpointError(
      { file: source.name },
      "has no adapter for any weight of this model",
      "Its tensors are called like the weights, with .lora_a and .lora_b behind.",
    );
  }
  for (const tensor of rest) {
    throw new CheckpointError(
      { file: source.name, tensor },
      "is no low-rank addition to a weight of this model",
      "Whole weights are not switched by sequence; merge the adapter into the model.",
    );
  }
  return adapter;
}

function fits(weight: WeightInfo, a: WeightInfo, b: WeightInfo): boolean {
  const { shape } = weight;
  return a.shape.length === 2 && a.shape[1] === shape[1] && b.shape[0] === shape[0] && a.shape[0] === b.shape[1];
}
