// The plans by which text is generated, without a device: for people who ask what a model's steps are.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { groupWeights, makePlan, type Plan } from "@polyllama/planner";
import type { KernelFamily } from "./gpu.ts";
import { type Mode, planPreferences, weightPreferences } from "./modes.ts";

/** What computes the graph's outputs of the last rows: for sequences that decode, and for prompts. */
export function webgpuPlans(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  kernels: KernelFamily = "hardware",
): Readonly<Record<Mode, Plan>> {
  const stored = groupWeights([graph], weights, weightPreferences);
  const outputs = new Set(graph.outputs);
  const none = new Set<string>();
  return {
    decode: makePlan(
      graph,
      stored,
      { all: outputs, selected: none, fillsCaches: true },
      planPreferences("decode", kernels),
    ),
    prefill: makePlan(
      graph,
      stored,
      { all: none, selected: outputs, fillsCaches: true },
      planPreferences("prefill", kernels),
    ),
  };
}
