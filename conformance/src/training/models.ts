// The small models that whole gradients and training runs are about, and what is computed of them: several sequences in
// a step, rows whose targets do not count, layers that are computed again, batches in parts.

import {
  type GradientGraphs,
  type GradientOptions,
  type Graph,
  gradient,
  type LlamaConfig,
  llamaGraph,
  type Tensor,
  type WeightSource,
  withLogProbabilities,
} from "@polyllama/core";
import type { Device, HostStep } from "@polyllama/core/device";
import { compileGradient, type Gradients, runGradient } from "../gradients/run.ts";
import type { Random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";

/** A model, and how its gradients are computed. */
export interface TrainedModel {
  readonly config: LlamaConfig;
  /** Whether layers are computed again in the backward step; default false. */
  readonly recompute?: boolean;
  /** Rows of the sequences of each micro-batch. */
  readonly parts: readonly (readonly number[])[];
}

const together = [[7, 1, 12]];

export const trainedModels: Readonly<Record<string, TrainedModel>> = {
  untied: { config: smallConfig, parts: together },
  tied: { config: { ...smallConfig, tiedEmbeddings: true }, parts: together },
  "multi-head": { config: { ...smallConfig, kvHeads: 4 }, parts: [[33]] },
  "multi-query": { config: { ...smallConfig, kvHeads: 1, heads: 5, dim: 80, vocabSize: 67 }, parts: together },
  recomputed: { config: { ...smallConfig, tiedEmbeddings: true }, recompute: true, parts: together },
  accumulated: { config: { ...smallConfig, tiedEmbeddings: true }, parts: [[7], [1, 12], [5]] },
};

/** One part of a batch: a step, and what the loss is by each of its log-probabilities [N]. */
export interface Part {
  readonly step: HostStep;
  readonly cotangent: Float64Array;
}

/** A model in memory, and a batch. */
export interface DrawnBatch {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly parts: readonly Part[];
}

/** The output of the graphs. */
export const logProbability = "logProbability";

/** Weights and a batch, of which every fifth target does not count, and the others each by a weight of its own. */
export function drawBatch({ config, parts }: TrainedModel, stream: Random): DrawnBatch {
  const graph = withLogProbabilities(llamaGraph(config));
  const weights = memoryWeights(randomWeights(graph, "f32", stream));
  const drawn = parts.map((rows): Part => {
    const total = rows.reduce((sum, count) => sum + count, 0);
    const draw = (): Int32Array => Int32Array.from({ length: total }, () => stream.integer(config.vocabSize));
    const [tokens, all] = [draw(), draw()];
    const targets = all.map((target, n) => (n % 5 === 2 ? -1 : target));
    const cotangent = Float64Array.from(targets, (target) => (target < 0 ? 0 : -(0.5 + stream.uniform()) / total));
    return { step: { inputs: { tokens, targets }, sequences: rows.map((count) => ({ rows: count })) }, cotangent };
  });
  return { graph, weights, parts: drawn };
}

/** The log-probabilities of each part, and the gradients of the whole batch by each weight, in the graph's order. */
export async function batchGradients(
  device: Device,
  { recompute = false }: Pick<TrainedModel, "recompute">,
  { graph, weights, parts }: DrawnBatch,
): Promise<readonly Tensor[]> {
  const options: GradientOptions = recompute ? { recompute: withinLayers(graph) } : {};
  const [first, more] = [gradient(graph, options), gradient(graph, { ...options, accumulate: true })];
  const graphs = [first, ...(parts.length > 1 ? [more] : [])].flatMap(({ forward, backward }) => [forward, backward]);
  using parameters = await device.loadParameters(graphs, weights);
  const values: Tensor[] = [];
  let found: Gradients | undefined;
  for (const { step, cotangent } of parts) {
    const of: GradientGraphs = found === undefined ? first : more;
    await using programs = await compileGradient(device, of, parameters);
    found = await runGradient(programs, step, () => ({ [logProbability]: cotangent }), found);
    values.push(found.values.get(logProbability)!); // which is differentiated
  }
  return [...values, ...graph.weights.map(({ name }) => found!.weights.get(name)!)]; // there is a part, and all are read
}

/** What is named in {@link batchGradients}. */
export function batchNames({ graph, parts }: DrawnBatch): readonly string[] {
  return [...parts.map((_, i) => `part ${i}, ${logProbability}`), ...graph.weights.map(({ name }) => name)];
}

/** All values of layers but their inputs and outputs. */
function withinLayers({ nodes }: Graph): readonly string[] {
  return nodes.map(({ output: name }) => name).filter((name) => /^layers\.\d+\.(?!out$)/.test(name));
}
