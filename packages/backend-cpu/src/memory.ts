// What a model takes on the device, before anything of it is loaded.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import { cacheSpec, type MemoryEstimate } from "@polyllama/core/device";
import { generationPlans } from "@polyllama/planner";
import { blockBytes, blocksFor } from "./cache/layout.ts";
import { type Activations, chunkRows, planPreferences, weightPreferences } from "./modes.ts";
import { grownBytes } from "./program/growing.ts";
import { partialWords } from "./program/partials.ts";
import { arenaOf } from "./program/plans.ts";
import { planWeights } from "./weights/layout.ts";

/** Room that each of a few threads works in, and what the library is told of a step. */
const otherBytes = 16 << 20;

/** Weights as they lie in memory, a cache in f32, and the values of the largest chunk of a step whose last row counts. */
export function estimateMemory(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  rows: number,
  activations: Activations,
): MemoryEstimate {
  const { all: plan } = generationPlans(graph, weights, weightPreferences, { all: planPreferences(activations) });
  const words = arenaOf(plan, Math.min(chunkRows, rows), 1).size + partialWords(plan, [{ rows: 1, keys: rows }]);
  return {
    weights: planWeights([graph], weights).bytes,
    cache: blocksFor(rows) * blockBytes(cacheSpec(graph), "f32"),
    scratch: grownBytes(4 * words) + otherBytes,
  };
}
