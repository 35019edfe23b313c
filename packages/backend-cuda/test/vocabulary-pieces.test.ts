// Gradients of an output projection whose logits no step keeps at once, added to those of micro-batches before: each piece
// of the vocabulary adds its own rows.

import { buildGraph, type WeightSource } from "@polyllama/core";
import { expect, test } from "vitest";
import { describeWithEmulation, withGraph } from "./support.ts";

await describeWithEmulation("a vocabulary in pieces", (emulation) => {
  test("adds to the gradients before where their rows are", { timeout: 240_000 }, async () => {
    const [v, d, n] = [8501, 4, 257]; // more than 8 MiB of logits
    const graph = buildGraph((g) => {
      const [x, targets] = [g.activations("x", d), g.tokens("targets")];
      const [sums, dy] = [g.activations("sum", 1), g.activations("dy", 1)];
      const made = g.logProbabilityGrad("d", x, targets, sums, dy, g.weight("w", [v, d]), { temperature: 1 });
      return [made.x, g.add("sum of both", g.fixed("before", [v, d]), made.weight)];
    });
    const bytes = new Uint8Array(Float32Array.from({ length: v * d }, (_, i) => Math.sin(i)).buffer);
    const weights: WeightSource = {
      name: "a projection",
      weights: new Map([["w", { name: "w", shape: [v, d], format: "f32" }]]),
      read: async (_, ranges) => {
        const { first = 0, count = v } = ranges?.rows ?? {};
        return bytes.subarray(4 * d * first, 4 * d * (first + count));
      },
      fingerprint: async () => "",
    };
    const before = Float32Array.from({ length: v * d }, (_, i) => i);
    await withGraph(emulation, graph, weights, async (loaded) => {
      const inputs = {
        x: Float32Array.from({ length: n * d }, (_, i) => Math.cos(i)),
        targets: new Int32Array(n),
        sum: new Float32Array(n).fill(10),
        dy: new Float32Array(n), // what is added is all there is
        before,
      };
      const found = await loaded.run({ inputs, sequences: [{ rows: n }] }, ["sum of both"]);
      expect(found.map(({ data }) => data)).toEqual([before]);
    });
    expect(emulation.control.reports()).toBe("");
  });
});
