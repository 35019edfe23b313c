// The plans by which text is generated, without a card.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { generationPlans, type Plan } from "@polyllama/planner";
import { type Mode, preferences } from "./modes.ts";
import { weightPreferences } from "./weights/layout.ts";

/** What computes the graph's outputs of the last rows: for sequences that decode, and for prompts, on tensor cores. */
export function cudaPlans(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>): Readonly<Record<Mode, Plan>> {
  return generationPlans(graph, weights, weightPreferences, {
    decode: preferences("decode", true),
    prefill: preferences("prefill", true),
  });
}
