// A model small enough for anything: two layers of grouped queries, whose vocabulary is no multiple of any tile.

import { type Graph, type LlamaConfig, llamaGraph } from "@polyllama/core";
import { type RandomSource, randomSource } from "./weights.ts";

export const tinyConfig: LlamaConfig = {
  dim: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  hiddenDim: 96,
  vocabSize: 131,
  contextLength: 128,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

export interface TinyModel {
  readonly config: LlamaConfig;
  readonly graph: Graph;
  readonly source: RandomSource;
}

/** The model with random f32 weights, and some numbers of its own. */
export function tinyModel(changes: Partial<LlamaConfig> = {}): TinyModel {
  const config = { ...tinyConfig, ...changes };
  const graph = llamaGraph(config);
  return { config, graph, source: randomSource(graph) };
}
