// The steps in which a backend computes a model, by mode, as the planner prints them. No device is asked.

import { printPlan } from "@polyllama/planner";
import { type Checkpoint, llamaGraph } from "polyllama";

/** Backends whose plans can be listed. */
export const plannedBackends = ["webgpu"] as const;
export type PlannedBackend = (typeof plannedBackends)[number];

/** Lines by mode. */
export async function printedPlans(
  _backend: PlannedBackend,
  { config, weights }: Pick<Checkpoint, "config" | "weights">,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const { webgpuPlans } = await import("@polyllama/backend-webgpu");
  const plans = webgpuPlans(llamaGraph(config), weights);
  return Object.fromEntries(Object.entries(plans).map(([mode, plan]) => [mode, printPlan(plan)]));
}
