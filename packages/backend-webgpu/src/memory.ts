// What a model takes on the device, by arithmetic.

import type { CacheFormat, Graph, MemoryEstimate, WeightInfo, WeightName } from "@polyllama/core";
import { cacheSpec } from "@polyllama/core/device";
import { blockBytes, blocksFor } from "./cache/layout.ts";
import { chunkRows } from "./modes.ts";
import { type BufferLimits, planWeights } from "./weights/layout.ts";

/** @param rows Positions of a sequence. */
export function estimateMemory(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  rows: number,
  limits: BufferLimits,
  format: CacheFormat = "f32",
): MemoryEstimate {
  return {
    weights: planWeights([graph], weights, limits).bytes,
    cache: blocksFor(rows) * blockBytes(cacheSpec(graph), format),
    scratch: scratchBytes(graph),
  };
}

/** Some six activations are alive at once, the widest of them seldom. */
export function scratchBytes(graph: Graph): number {
  const widest = Math.max(...graph.widths.values());
  return 4 * (chunkRows.prefill + chunkRows.decode) * 6 * widest + (8 << 20);
}
