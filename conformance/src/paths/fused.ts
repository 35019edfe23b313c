// A layer as it runs: only its output is asked for, so that a backend fuses what it always fuses. The same layer with every value
// asked for, node by node, is `model:layer`.

import { type Backend, type FormatName, type LlamaConfig, llamaLayerGraph } from "@polyllama/core";
import type { Action, Finding, SequencePart } from "../case.ts";
import type { ConformanceCase } from "../cases.ts";
import { judgeChain } from "../chains.ts";
import { activations } from "../inputs.ts";
import { attentionScenarios } from "../ops/attention.ts";
import { type Random, random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";
import { pathCase } from "./path-case.ts";
import { pathRuns } from "./truth.ts";

const grouped: LlamaConfig = { ...smallConfig, heads: 6, kvHeads: 2 };
const wide: LlamaConfig = { ...smallConfig, dim: 256, hiddenDim: 256, heads: 4, kvHeads: 4, headDim: 64 };
/** Wide enough that every tile of a matrix product is full. */
const large: LlamaConfig = { ...smallConfig, dim: 1024, hiddenDim: 2816, heads: 16, kvHeads: 4, headDim: 64 };
const layers: readonly (readonly [FormatName, LlamaConfig])[] = [
  ["f32", grouped],
  ["f16", grouped],
  ["q4_0", grouped],
  ["q8_0", grouped],
  ["q6_k", wide],
];
const scenarios = ["no-cache", "prefill-decode", "ragged"] as const;

export function fusedCases(): readonly ConformanceCase[] {
  const small = layers.flatMap(([format, config]) =>
    (config === wide ? (["prefill-decode"] as const) : scenarios).map((scenario) =>
      fusedCase(format, config, scenario),
    ),
  );
  return [...small, fusedCase("q4_0", large, "prefill-decode", { slow: true })];
}

function fusedCase(
  format: FormatName,
  config: LlamaConfig,
  scenario: (typeof scenarios)[number],
  marks: { readonly slow?: boolean } = {},
): ConformanceCase {
  const { dim, heads, kvHeads } = config;
  const run = (backend: Backend, seed: number): Promise<Finding> => {
    const stream = random(`fused ${format} ${dim} ${scenario}`, seed);
    const graph = llamaLayerGraph(config, 0);
    const weights = memoryWeights(randomWeights(graph, format, stream));
    const actions = attentionScenarios[scenario]!((batch) => runOf(config, batch, stream));
    return judgeChain({ graph, weights, capacity: 64, actions, wanted: graph.outputs }, backend, pathRuns);
  };
  return pathCase("fused", { format, dim, heads, kvHeads, scenario }, run, marks);
}

function runOf({ dim }: LlamaConfig, batch: readonly SequencePart[], stream: Random): Action {
  const rows = batch.reduce((sum, part) => sum + part.rows, 0);
  return { run: { x: activations("normal", rows, dim, stream) }, batch };
}
