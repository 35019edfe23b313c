// Training steps of a graph on a device: gradients of each batch, in parts, and AdamW over all weights.

import {
  type AdamWOptions,
  adamWGraph,
  adamWSettings,
  type Graph,
  gradient,
  type WeightSource,
  withMoments,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { compileGradient, type Gradients, runGradient } from "../gradients/run.ts";
import { logProbability, type Part } from "./models.ts";

/** A run, step by step. */
export interface TrainingSteps {
  /** Gives log-probabilities. */
  readonly graph: Graph;
  readonly weights: WeightSource;
  /** The parts of each step's batch, whose gradients are added up. */
  readonly batches: Iterable<readonly Part[]>;
  /** Of a step, from 1. */
  readonly rate: (step: number) => number;
  readonly optimizer?: AdamWOptions;
}

/** The loss of each step, before its update: the sum of all log-probabilities, each times its cotangent. */
export async function trainingLosses(
  device: Device,
  { graph, weights, batches, rate, optimizer = {} }: TrainingSteps,
): Promise<readonly number[]> {
  const [first, more] = [gradient(graph), gradient(graph, { accumulate: true })];
  const adamw = adamWGraph(graph.weights, optimizer);
  const graphs = [first.forward, first.backward, more.forward, more.backward, adamw.graph];
  const source = withMoments(weights, graph.weights);
  using parameters = await device.loadParameters(graphs, source, { mutable: true });
  await using firstPrograms = await compileGradient(device, first, parameters);
  await using morePrograms = await compileGradient(device, more, parameters);
  await using update = await device.compile(adamw.graph, parameters);
  const losses: number[] = [];
  for (const parts of batches) {
    let loss = 0;
    let found: Gradients | undefined;
    for (const { step, cotangent } of parts) {
      const programs = found === undefined ? firstPrograms : morePrograms;
      found = await runGradient(programs, step, () => ({ [logProbability]: cotangent }), found);
      const { data } = found.values.get(logProbability)!; // which is differentiated
      for (const [n, factor] of cotangent.entries()) loss += factor * data[n]!; // one for each row
    }
    losses.push(loss);
    const gradients = [...found!.weights].map(([name, { data }]) => [adamw.gradients.get(name)!, data] as const); // of all
    const settings = adamWSettings(rate(losses.length), losses.length, optimizer);
    const inputs = { ...Object.fromEntries(gradients), [adamw.settings]: settings };
    await update.submit({ inputs, sequences: [], outputs: [], updates: adamw.updates }).result;
  }
  return losses;
}
