// The plan by which text is generated, without loading anything.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { generationPlans, type Plan } from "@polyllama/planner";
import { preferences } from "./lower.ts";
import { weightPreferences } from "./pack/layout.ts";

/** What computes the graph's outputs of the last rows, whatever a sequence advances by. */
export function onnxruntimePlans(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
): Readonly<Record<"generation", Plan>> {
  return generationPlans(graph, weights, weightPreferences, { generation: preferences });
}
