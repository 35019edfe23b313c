// The small models that cases of whole models are about: random weights in several formats, every kind of grouping and
// scaling.

import { type FormatName, type Graph, type LlamaConfig, llamaGraph, type WeightSource } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { type ConformanceCase, type Marks, makeCase } from "../case.ts";
import type { Finding } from "../comparison/measure.ts";
import { estimateTolerance, type Tolerance } from "../comparison/tolerance.ts";
import { type Random, random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import type { Unsupported } from "../support.ts";
import { memoryWeights, randomWeights } from "../weights.ts";

export interface Model {
  readonly config: LlamaConfig;
  readonly format: FormatName;
}

/** Three layers of grouped queries. */
export const grouped: Model = { config: { ...smallConfig, layers: 3, vocabSize: 259 }, format: "f32" };
const { config: base } = grouped;

export const smallModels: Readonly<Record<string, Model>> = {
  grouped,
  "multi-head": { config: { ...base, kvHeads: 4, tiedEmbeddings: true }, format: "f16" },
  "multi-query": { config: { ...base, kvHeads: 1, ropeScaling: { type: "linear", factor: 2 } }, format: "q8_0" },
  "small-heads": { config: { ...base, heads: 8, kvHeads: 4, headDim: 8, vocabSize: 1001 }, format: "q4_0" },
  "k-quants": {
    config: { ...base, dim: 256, heads: 4, kvHeads: 2, headDim: 64, hiddenDim: 512, layers: 2 },
    format: "q4_k",
  },
};

/** Tokens of a text. */
export const rows = 24;

/** A check of one model on a device. All checks of a model see the same weights and tokens. */
export type ModelCheck = (device: Device, model: Model, stream: Random) => Promise<Finding | Unsupported>;

/** Makes a case of a model; its weights and tokens follow from its name alone, so that findings can be compared. */
export function modelCase(check: string, name: string, model: Model, run: ModelCheck, marks?: Marks): ConformanceCase {
  const parameters = { model: name, format: model.format };
  const seeded = (device: Device, seed: number) => run(device, model, random(`model ${name}`, seed));
  return makeCase("model", check, parameters, seeded, marks);
}

/** A model in memory, and a text. */
export interface Drawn {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly tokens: Int32Array; // [N]
}

export function drawModel({ config, format }: Model, stream: Random): Drawn {
  const graph = llamaGraph(config);
  const weights = memoryWeights(randomWeights(graph, format, stream));
  return { graph, weights, tokens: drawTokens(config, stream) };
}

export function drawTokens({ vocabSize }: LlamaConfig, stream: Random): Int32Array {
  return Int32Array.from({ length: rows }, () => stream.integer(vocabSize));
}

/** Of the text's logits. */
export function logitsTolerance({ graph, weights, tokens }: Drawn, { roundings }: Device): Promise<Tolerance> {
  return estimateTolerance(graph, weights, { inputs: { tokens } }, "logits", roundings);
}
