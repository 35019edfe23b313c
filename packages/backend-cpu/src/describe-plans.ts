// The plan by which text is generated, without a device.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { generationPlans, type Plan } from "@polyllama/planner";
import { planPreferences, weightPreferences } from "./modes.ts";

/** What computes the graph's outputs of the last rows, with activations in int8. */
export function cpuPlans(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>): Readonly<Record<"all", Plan>> {
  return generationPlans(graph, weights, weightPreferences, { all: planPreferences("int8") });
}
