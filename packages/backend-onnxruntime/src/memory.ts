// What a model takes in memory, by arithmetic. ONNX Runtime repacks quantized matrices when it loads them. It keeps the
// values, the f32 scales and, for int8 activations, an f32 sum per block; the file's own scales stay mapped besides, in
// pages that the system may drop. Q4_0 thus takes 7 bits a weight.

import type { Graph, MemoryEstimate, WeightInfo, WeightName } from "@polyllama/core";
import { cacheSpec } from "@polyllama/core/device";
import { chunkRows, scoreBytes } from "./executor.ts";
import { blockBytes } from "./kv-blocks.ts";
import { attentions } from "./needs.ts";
import type { Activations } from "./pack/index.ts";
import { planLayout } from "./pack/layout.ts";

export function estimateMemory(
  graph: Graph,
  weights: ReadonlyMap<WeightName, WeightInfo>,
  positions: number,
  activations: Activations,
): MemoryEstimate {
  let bytes = 0;
  for (const { packer, parts, rows, columns } of planLayout([graph], weights, activations).matrices) {
    for (const { array } of parts) bytes += array.length;
    if (packer.bits < 32) bytes += ((rows * columns) / packer.block) * (activations === "int8" ? 8 : 4);
  }
  const widest = Math.max(...graph.widths.values());
  const heads = Math.max(0, ...attentions(graph).map((attention) => attention.heads));
  return {
    weights: bytes,
    cache: blockBytes(cacheSpec(graph), positions),
    scratch:
      4 * Math.min(chunkRows, positions) * 6 * widest +
      Math.min(scoreBytes, 4 * heads * positions * chunkRows) +
      (64 << 20),
  };
}
