// The configuration that the small models of all suites are variants of: large enough for every kind of operation to
// appear, small enough that the reference computes thousands of rows in a second.

import type { LlamaConfig } from "@polyllama/core";

/** Two layers of grouped queries, whose vocabulary is no multiple of any tile. */
export const smallConfig: LlamaConfig = {
  dim: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  hiddenDim: 96,
  vocabSize: 131,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

/** One layer of narrow heads: for texts of thousands of tokens. */
export const narrowConfig: LlamaConfig = { ...smallConfig, dim: 32, layers: 1, headDim: 8, hiddenDim: 64 };
