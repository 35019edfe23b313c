// What a program takes on the device, by arithmetic.

import type { AttentionNode, CacheFormat, Graph, MemoryEstimate, WeightInfo, WeightName } from "@polyllama/core";
import { cacheBytes } from "./kv-cache.ts";
import { chunkRows } from "./modes.ts";
import { type BufferLimits, planWeights } from "./weights/layout.ts";

export function attentionsOf(graph: Graph): readonly AttentionNode[] {
  return graph.nodes.filter((node) => node.op === "attention");
}

export function estimateMemory(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  capacity: number,
  limits: BufferLimits,
  format: CacheFormat = "f32",
): MemoryEstimate {
  let widest = 0;
  for (const width of graph.widths.values()) widest = Math.max(widest, width);
  return {
    weights: planWeights([graph], weights, limits).bytes,
    cache: cacheBytes(attentionsOf(graph), capacity, format),
    // Some six activations are alive at once, the widest of them seldom.
    scratch: 4 * (chunkRows.prefill + chunkRows.decode) * 6 * widest + (8 << 20),
  };
}
