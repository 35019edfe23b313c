// What several test files share.

import {
  columnCount,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { describe } from "vitest";
import { smallConfig } from "../../../conformance/src/small-config.ts";
import { describeWithSystem } from "../../../tests/support/system.ts";

/** `describe` for suites that need an adapter: on Linux the software one, elsewhere what the system has. */
export function describeWithAdapter(name: string, define: () => void): void {
  if (process.platform === "linux") describeWithSystem("vulkan", name, define);
  else describe(name, define);
}

/** A small model with random weights. */
export function tinyModel(): { readonly graph: Graph; readonly source: WeightSource; readonly config: LlamaConfig } {
  const config: LlamaConfig = { ...smallConfig, vocabSize: 256, contextLength: 128 };
  const graph = llamaGraph(config);
  const weights = new Map<string, WeightInfo>();
  for (const { name, shape } of graph.weights) weights.set(name, { name, shape, format: "f32" });
  const source: WeightSource = {
    name: "tiny",
    weights,
    async read(name, rows) {
      const info = weights.get(name)!;
      const { count } = rows ?? { count: rowCount(info) };
      let state = (rows?.first ?? 0) * 977 + name.length * 31 + name.charCodeAt(9) + 1;
      const values = Float32Array.from({ length: count * columnCount(info) }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return info.shape.length === 1 ? 1 : (state / 2 ** 31 - 1) * 0.3;
      });
      return new Uint8Array(values.buffer);
    },
    fingerprint: async () => "tiny",
  };
  return { graph, source, config };
}
