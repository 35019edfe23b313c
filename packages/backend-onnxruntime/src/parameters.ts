// Weights as programs share them: the packed file, which sessions map, and the embedding tables, whose rows are read
// from the checkpoint.

import {
  checkWeights,
  type Graph,
  type Progress,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { ParameterStorage } from "@polyllama/planner";
import type { PackedWeights } from "@polyllama/planner/packed-weights";
import { openPackedWeights } from "./cache/packed-weights.ts";
import { EmbeddingTable } from "./embedding.ts";
import type { OnnxRuntimeOptions } from "./options.ts";
import { type Layout, planLayout } from "./pack/layout.ts";

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
