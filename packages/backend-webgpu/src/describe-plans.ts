// The plans by which text is generated, without a device.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { generationPlans, type Plan } from "@polyllama/planner";
import type { KernelFamily } from "./gpu.ts";
import { type Mode, planPreferences, weightPreferences } from "./modes.ts";

/** What computes the graph's outputs of the last rows: for sequences that decode, and for prompts. */
export function webgpuPlans(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  kernels: KernelFamily = "hardware",
): Readonly<Record<Mode, Plan>> {
  return generationPlans(graph, weights, weightPreferences, {
    decode: planPreferences("decode", kernels),
    prefill: planPreferences("prefill", kernels),
  });
}
