// What a graph takes of the host's memory, before anything is loaded.

import {
  columnCount,
  type Graph,
  type MemoryEstimate,
  type RealArray,
  rowCount,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { cacheSpec } from "@polyllama/core/device";
import { hostBlockRows, hostCacheBytes } from "./blocks.ts";
import type { Arrays } from "./rows.ts";

/** Rows and values that are taken to be alive at once. */
const [aliveRows, aliveValues] = [512, 8];

/** With weights as f32 values, and one sequence of up to `rows` positions. */
export function estimateHostMemory(
  arrays: Arrays<RealArray>,
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  rows: number,
): MemoryEstimate {
  const used = graph.weights.map(({ name }) => weights.get(name)).filter((info) => info !== undefined);
  const widest = Math.max(...graph.widths.values());
  return {
    weights: used.reduce((sum, info) => sum + 4 * rowCount(info) * columnCount(info), 0),
    cache: Math.ceil(rows / hostBlockRows) * hostBlockRows * hostCacheBytes(arrays, cacheSpec(graph)),
    scratch: aliveValues * arrays.BYTES_PER_ELEMENT * widest * Math.min(rows, aliveRows),
  };
}
