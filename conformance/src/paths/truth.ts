// What a path is measured against: texts with the values that the reference computes for them, each in one piece, and
// how far a device may be from those. Paths differ in how rows reach the device; what a row must be does not depend on
// the path.

import type { Rounding } from "@polyllama/backend-reference";
import {
  type FormatName,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  type Tensor,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { fewPerturbedRuns } from "../comparison/constants.ts";
import { estimateTolerances, type Tolerance } from "../comparison/tolerance.ts";
import { type Random, random } from "../random.ts";
import { memoryWeights, randomWeights } from "../weights.ts";

/** A model small enough that the reference computes thousands of its rows in a second. */
export interface PathModel {
  readonly config: LlamaConfig;
  readonly format: FormatName;
}

/** A text and what the reference says of it, from row `first` on. */
export interface Text {
  readonly tokens: Int32Array;
  readonly first: number;
  readonly values: ReadonlyMap<ValueName, Tolerance>;
}

export interface Truth {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly texts: readonly Text[];
}

export interface TruthOptions {
  /** Tokens of each text. */
  readonly lengths: readonly number[];
  /** Default: logits. */
  readonly values?: readonly ValueName[];
  /** Rows that only fill the reference's caches; its values begin behind them. Default 0. */
  readonly first?: number;
}

/**
 * By a device's roundings: what was computed for cases that differ in their steps alone, and for other variants of the
 * device.
 */
const known = new WeakMap<Rounding, Map<string, Promise<Truth>>>();

/**
 * Draws weights and texts, and computes the texts' values with their tolerances: once for equal models, options and
 * seeds.
 */
export function truthOf(model: PathModel, rounding: Rounding, seed: number, options: TruthOptions): Promise<Truth> {
  const truths = known.get(rounding) ?? new Map<string, Promise<Truth>>();
  known.set(rounding, truths);
  const { lengths, values, first } = options; // a model's options may have more
  const key = JSON.stringify([model, seed, lengths, values, first]);
  const truth = truths.get(key) ?? computeTruth(model, rounding, random(`path ${model.format}`, seed), options);
  truth.catch(() => truths.delete(key));
  truths.set(key, truth);
  return truth;
}

async function computeTruth(
  { config, format }: PathModel,
  rounding: Rounding,
  stream: Random,
  { lengths, values = ["logits"], first = 0 }: TruthOptions,
): Promise<Truth> {
  const graph = llamaGraph(config);
  const weights = memoryWeights(randomWeights(graph, format, stream));
  const tokens = lengths.map((length) => Int32Array.from({ length }, () => stream.integer(config.vocabSize)));
  const run = (device: Device): Promise<readonly Tensor[]> =>
    compute(device, { graph, weights }, tokens, first, values);
  const seeds = Array.from({ length: fewPerturbedRuns }, (_, seed) => seed);
  const tolerances = await estimateTolerances(run, rounding, seeds);
  const texts = tokens.map((own, text) => {
    const found = values.map((value, i): [ValueName, Tolerance] => [value, tolerances[text * values.length + i]!]);
    return { tokens: own, first, values: new Map(found) };
  });
  return { graph, weights, texts };
}

/** The values of every text, one text after another, from row `first` on. */
async function compute(
  device: Device,
  { graph, weights }: Pick<Truth, "graph" | "weights">,
  texts: readonly Int32Array[],
  first: number,
  values: readonly ValueName[],
): Promise<readonly Tensor[]> {
  await using loaded = await loadGraph(device, graph, weights);
  const computed: Tensor[] = [];
  for (const tokens of texts) {
    using pool = loaded.pool(tokens.length);
    const cache = pool.open();
    const run = (from: number, to: number, wanted: readonly ValueName[]) =>
      loaded.run({ inputs: { tokens: tokens.subarray(from, to) }, sequences: [{ rows: to - from, cache }] }, wanted);
    if (first > 0) await run(0, first, []);
    computed.push(...(await run(first, tokens.length, values)));
  }
  return computed;
}
