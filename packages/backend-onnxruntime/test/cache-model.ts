// The model of the cache's tests: small, but with several packed arrays.

import { type Graph, llamaGraph } from "@polyllama/core";
import type { LoadedGraph } from "@polyllama/core/device";
import { type RandomSource, randomSource } from "@polyllama/test-support/weights";

export function cacheModel(seed = 1): { graph: Graph; source: RandomSource } {
  const graph = llamaGraph({
    dim: 64,
    layers: 1,
    heads: 4,
    kvHeads: 4,
    headDim: 16,
    hiddenDim: 96,
    vocabSize: 50,
    contextLength: 64,
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: { type: "none" },
    tiedEmbeddings: false,
  });
  return { graph, source: randomSource(graph, (name) => (name.includes("w2") ? "q8_0" : "q4_0"), seed) };
}

export async function firstLogits(loaded: LoadedGraph): Promise<number[]> {
  const [logits] = await loaded.run({ inputs: { tokens: Int32Array.of(1, 2, 3) } }, [
    { value: "logits", rows: "last" },
  ]);
  return Array.from(logits!.data);
}
