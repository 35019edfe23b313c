// The plans by which text is generated, for people who ask what a model's steps are. No device is needed.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { makePlan, type PlanPreferences } from "./make-plan.ts";
import type { Plan } from "./plan.ts";
import { groupWeights, type WeightPreferences } from "./weight-groups.ts";

/**
 * What computes a graph's outputs of the last rows, in each of a backend's modes.
 *
 * @param infos Every weight of the graph: shape and format.
 */
export function generationPlans<Mode extends string>(
  graph: Graph,
  infos: ReadonlyMap<WeightName, WeightInfo>,
  weightPreferences: WeightPreferences,
  modes: Readonly<Record<Mode, PlanPreferences>>,
): Readonly<Record<Mode, Plan>> {
  const weights = groupWeights([graph], infos, weightPreferences);
  const outputs = new Set(graph.outputs);
  const none = new Set<string>();
  const plans: Partial<Record<Mode, Plan>> = {};
  for (const mode of Object.keys(modes) as Mode[]) {
    const { selectsRows } = modes[mode];
    const asked = { all: selectsRows ? none : outputs, selected: selectsRows ? outputs : none, fillsCaches: true };
    plans[mode] = makePlan(graph, weights, asked, modes[mode]);
  }
  return plans as Record<Mode, Plan>; // one for each of the modes' own keys
}
