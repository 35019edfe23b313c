// The steps in which a backend computes a model, by mode, as the planner prints them. No device is asked.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { type Plan, printPlan } from "@polyllama/planner";
import { type Checkpoint, llamaGraph } from "polyllama";

/** Backends whose plans can be listed. */
export const plannedBackends = ["cpu", "onnxruntime", "webgpu", "cuda"] as const;
export type PlannedBackend = (typeof plannedBackends)[number];

type Planner = (graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>) => Readonly<Record<string, Plan>>;

const planners: Readonly<Record<PlannedBackend, () => Promise<Planner>>> = {
  cpu: async () => (await import("@polyllama/backend-cpu")).cpuPlans,
  onnxruntime: async () => (await import("@polyllama/backend-onnxruntime")).onnxruntimePlans,
  webgpu: async () => (await import("@polyllama/backend-webgpu")).webgpuPlans,
  cuda: async () => (await import("@polyllama/backend-cuda")).cudaPlans,
};

/** Lines by mode. */
export async function printedPlans(
  backend: PlannedBackend,
  { config, weights }: Pick<Checkpoint, "config" | "weights">,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const plans = (await planners[backend]())(llamaGraph(config), weights);
  return Object.fromEntries(Object.entries(plans).map(([mode, plan]) => [mode, printPlan(plan)]));
}
