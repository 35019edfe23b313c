// Weights as programs share them: the packed file, which sessions map, and the embedding tables, whose rows are read
// from the checkpoint.

import {
  checkWeights,
  type Graph,
  type Progress,
  UnsupportedError,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite } from "@polyllama/formats";
import type { ParameterStorage, WeightGroup } from "@polyllama/planner";
import type { PackedWeights } from "@polyllama/planner/packed-weights";
import { openPackedWeights } from "./cache/packed-weights.ts";
import { EmbeddingTable } from "./embedding.ts";
import type { OnnxRuntimeOptions } from "./options.ts";
import { type Layout, type PackedMatrix, planLayout } from "./pack/layout.ts";

export class OnnxRuntimeParameters implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: Layout;
  readonly #source: WeightSource;
  readonly #packed: PackedWeights;
  readonly #tables = new Map<WeightName, EmbeddingTable>();

  constructor(
    weights: ReadonlyMap<WeightName, WeightInfo>,
    { source, layout, packed }: { source: WeightSource; layout: Layout; packed: PackedWeights },
  ) {
    this.weights = weights;
    this.layout = layout;
    this.#source = source;
    this.#packed = packed;
  }

  get bytes(): number {
    return this.layout.bytes;
  }

  /** Folder of the packed file. */
  get folder(): string {
    return this.#packed.folder;
  }

  /** The rows of one of the weights. */
  table(name: WeightName): EmbeddingTable {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = new EmbeddingTable(this.#source, this.weights.get(name)!); // the frame saw that it is there
    this.#tables.set(name, table);
    return table;
  }

  /** These weights, and stacks of adapters beside them: what a graph that has both is computed with. */
  beside({ weights, layout }: AdapterStacks): OnnxRuntimeParameters {
    const both = {
      ...this.layout,
      places: new Map([...this.layout.places, ...layout.places]),
      packed: new Map([...this.layout.packed, ...layout.packed]),
    };
    const all = new Map([...this.weights, ...weights]);
    return new OnnxRuntimeParameters(all, { source: this.#source, layout: both, packed: this.#packed });
  }

  free(): Promise<void> {
    this.#tables.clear();
    return this.#packed.release();
  }
}

/** @throws {CheckpointError}; {@link PackedWeightsError}; the signal's reason. */
export async function loadParameters(
  graphs: readonly Graph[],
  source: WeightSource,
  { activations, cacheFolder: folder, cacheLimit: limit, onNote }: Required<OnnxRuntimeOptions>,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
): Promise<OnnxRuntimeParameters> {
  const infos = graphs.flatMap((graph) => checkWeights(graph, source));
  const weights = new Map(infos.map((info) => [info.name, info]));
  const layout = planLayout(graphs, weights, activations);
  const packed = await openPackedWeights(source, layout, { folder, limit, onNote }, onProgress, signal);
  return new OnnxRuntimeParameters(weights, { source, layout, packed });
}

/** Stacks of adapters in memory. */
export interface AdapterStacks {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: Layout;
}

/** Bytes that a model has room for, whose weights are not in a file: a protobuf message has less than 2 GiB. */
const mostModelBytes = 2 ** 31 - 2 ** 26;

/** Reads stacks of adapters, f32 matrices. @throws {UnsupportedError} for more than a model has room for */
export async function loadStacks(
  graphs: readonly Graph[],
  source: WeightSource,
  signal: AbortSignal,
): Promise<AdapterStacks> {
  const infos = graphs.flatMap((graph) => checkWeights(graph, source));
  const weights = new Map(infos.map((info) => [info.name, info]));
  const layout = planLayout(graphs, weights, "f32");
  if (layout.bytes > mostModelBytes) {
    const problem = `Adapters of ${layout.bytes} bytes in all; the onnxruntime backend has room for ${mostModelBytes}`;
    throw new UnsupportedError(problem, "Load fewer of them, or merge one into the model.", { op: "linear" });
  }
  const packed = new Map<WeightGroup, PackedMatrix>();
  for (const [group, matrix] of layout.packed) {
    const { spec, array } = matrix.parts[0]!; // f32 has one
    const bytes = new Uint8Array(array.length);
    for (const { weight, firstRow } of matrix.members) {
      const read = await source.read(weight, undefined, signal);
      assertFinite(source, weights.get(weight)!, read, 0); // a member is one of them
      bytes.set(read, firstRow * spec.bytesPerRow);
    }
    packed.set(group, { ...matrix, parts: [{ spec, array: { ...array, bytes } }] });
  }
  return { weights, layout: { ...layout, packed } };
}
