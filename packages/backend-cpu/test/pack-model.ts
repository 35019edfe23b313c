// The model of the packed weights' tests: small, but of several pages; and a device that keeps it, however small.

import { type Graph, llamaGraph, type WeightSource } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { type RandomSource, randomSource } from "@polyllama/test-support/weights";
import { cpuDevice } from "../src/device.ts";
import { openEngine } from "../src/native/engine.ts";
import { type LocalOptions, localWeights } from "../src/packed/local-weights.ts";

export function packModel(seed = 1): { readonly graph: Graph; readonly source: RandomSource } {
  const graph = llamaGraph({
    dim: 256,
    layers: 1,
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    hiddenDim: 512,
    vocabSize: 5003, // no whole number of groups
    contextLength: 64,
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: { type: "none" },
    tiedEmbeddings: false,
  });
  return { graph, source: randomSource(graph, (name) => (name.includes("w2") ? "q4_k" : "q8_0"), seed) };
}

/** A device that keeps weights of any size; notes are errors where nobody takes them. */
export function keepingDevice(folder: string | false, options: Partial<LocalOptions> = {}): Device {
  const onNote = (note: string): never => {
    throw new Error(note);
  };
  return cpuDevice("int8", {
    open: () => openEngine({ threads: 2 }),
    processor: () => "test",
    weights: localWeights({ folder, limit: 1e12, onNote, least: 0, ...options }),
  });
}

/** Logits of a prompt, by a device that is disposed then. */
export async function logitsWith(device: Device, graph: Graph, source: WeightSource): Promise<number[]> {
  await using owned = device;
  await using loaded = await loadGraph(owned, graph, source);
  const step = { inputs: { tokens: Int32Array.of(1, 2, 3) } };
  const [logits] = await loaded.run(step, [{ value: "logits", rows: "last" }]);
  return Array.from(logits!.data); // one output
}
