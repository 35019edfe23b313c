// A layer as it runs: only its output is asked for, so that a backend fuses what it always fuses. The same layer with
// every value asked for, node by node, is `model:layer`.

import { type FormatName, type LlamaConfig, llamaLayerGraph } from "@polyllama/core";
import type { ConformanceCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { fewPerturbedRuns } from "../comparison/constants.ts";
import { compareChain } from "../comparison/scripts.ts";
import { activations } from "../inputs.ts";
import { rowsOf, type ScenarioName, scenarioCapacity, scenarios } from "../ops/scenarios.ts";
import { random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";
import { pathCase } from "./path-case.ts";

const grouped: LlamaConfig = { ...smallConfig, heads: 6, kvHeads: 2 };
const wide: LlamaConfig = { ...smallConfig, dim: 256, hiddenDim: 256, heads: 4, kvHeads: 4, headDim: 64 };
/** Wide enough that every tile of a matrix product is full. */
const large: LlamaConfig = { ...smallConfig, dim: 1024, hiddenDim: 2816, heads: 16, kvHeads: 4, headDim: 64 };

const layers = [
  ...combinations
    .combine("format", ["f32", "f16", "q4_0", "q8_0"])
    .combine("scenario", ["no-cache", "prefill-decode", "ragged"])
    .with([{ config: grouped }]),
  { format: "q6_k", scenario: "prefill-decode", config: wide } as const,
  { format: "q4_0", scenario: "prefill-decode", config: large, slow: true } as const,
];

export function fusedCases(): readonly ConformanceCase[] {
  return layers.map(fusedCase);
}

function fusedCase(given: {
  readonly format: FormatName;
  readonly config: LlamaConfig;
  readonly scenario: ScenarioName;
  readonly slow?: boolean;
}): ConformanceCase {
  const { format, config, scenario, slow = false } = given;
  const { dim, heads, kvHeads } = config;
  return pathCase(
    "fused",
    { format, dim, heads, kvHeads, scenario },
    (device, seed) => {
      const stream = random(`fused ${format} ${dim} ${scenario}`, seed);
      const graph = llamaLayerGraph(config, 0);
      const weights = memoryWeights(randomWeights(graph, format, stream));
      const actions = scenarios[scenario]((sequences) => {
        return { run: { x: activations("normal", rowsOf(sequences), dim, stream) }, sequences };
      });
      const chain = { graph, weights, capacity: scenarioCapacity, actions, wanted: graph.outputs };
      return compareChain(chain, device, fewPerturbedRuns);
    },
    { slow },
  );
}
