// How much work a comparison is: the reference takes nearly all of the time, so the multiply-adds of its linears are
// counted, for progress and to say beforehand how many tokens can be compared.

import type { Rounding } from "@polyllama/backend-reference";
import type { Graph, LlamaConfig } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { perturbedRuns } from "../comparison/constants.ts";

/** Multiply-adds per second that float64 loops in JavaScript do on a slow or busy core. */
const pace = 2.5e8;

/** Multiply-adds of a token in all linears of a graph. */
export function linearWork(graph: Graph): number {
  let work = 0;
  for (const node of graph.nodes) {
    if (node.op === "linear") work += graph.widths.get(node.x)! * graph.widths.get(node.output)!;
  }
  return work;
}

/** Matrix products that a linear and its bound are. */
export function products({ int8Activations, tensorCores }: Rounding): number {
  return 2 + (int8Activations === undefined ? 0 : 2) + (tensorCores === undefined ? 0 : 4);
}

/** Multiply-adds of a whole comparison per token. */
export function comparisonWork(
  { dim, layers, heads, kvHeads, headDim, hiddenDim, vocabSize }: LlamaConfig,
  roundings: readonly Rounding[],
  runs: number,
  opLayers: number,
): number {
  const layer = 2 * dim * (heads + kvHeads) * headDim + 3 * dim * hiddenDim;
  const head = dim * vocabSize;
  let work = 0;
  for (const rounding of roundings) {
    const own = products(rounding);
    work += (2 * layers * layer + head) * (own + runs); // each layer by itself and as part of the model
    work += (opLayers * layer + head) * own; // operations alone
  }
  return work;
}

/**
 * How many tokens can be compared in about the given time on a slow core, at least 1. For choosing a text; a comparison
 * itself takes all the tokens that it is given.
 */
export function affordableTokens(
  config: LlamaConfig,
  devices: readonly Pick<Device, "roundings">[],
  {
    seconds,
    runs = perturbedRuns,
    opLayers = 3,
  }: { readonly seconds: number; readonly runs?: number; readonly opLayers?: number },
): number {
  const roundings = devices.map((device) => device.roundings);
  return Math.max(1, Math.floor((seconds * pace) / comparisonWork(config, roundings, runs, opLayers)));
}
