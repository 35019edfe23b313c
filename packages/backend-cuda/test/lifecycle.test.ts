// The rules that all backends keep, and what a fork costs.

import { lifecycle } from "@polyllama/conformance/vitest";
import { buildGraph, type WeightSource } from "@polyllama/core";
import { afterEach, expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated, withProgram } from "./support.ts";

await describeWithEmulation("cuda", (emulation) => {
  afterEach(() => expect(emulation.control.live()).toBe(0)); // every test disposes its backend
  lifecycle(() => cuda(emulated(emulation)));

  test("a fork copies the positions that hold something, not the capacity", async () => {
    const [heads, kvHeads, headDim] = [4, 2, 8];
    const graph = buildGraph((g) => {
      const q = g.activations("q", heads * headDim);
      const k = g.activations("k", kvHeads * headDim);
      const v = g.activations("v", kvHeads * headDim);
      return [g.attention("out", q, k, v, { heads, kvHeads, headDim })];
    });
    const none: WeightSource = {
      name: "none",
      weights: new Map(),
      read: () => Promise.reject(new Error("there are no weights")),
      fingerprint: async () => "",
    };
    await withProgram(emulation, graph, none, async (program) => {
      using cache = program.createCache(100);
      const rows = 5;
      const values = (width: number, from: number) =>
        Float32Array.from({ length: rows * width }, (_, i) => Math.sin(from + i));
      const inputs = {
        q: values(heads * headDim, 0),
        k: values(kvHeads * headDim, 1),
        v: values(kvHeads * headDim, 2),
      };
      await program.run({ inputs, batch: [{ rows, cache }] }, ["out"]);
      emulation.control.log();
      using fork = await cache.fork();
      const copied = emulation.control.log().flatMap((call) => /^cuMemcpyDtoDAsync (\d+)/.exec(call)?.[1] ?? []);
      expect(copied.reduce((sum, bytes) => sum + Number(bytes), 0)).toBe(2 * kvHeads * rows * headDim * 4);
      const again = { inputs, batch: [{ rows, cache: fork }] };
      const [of] = await program.run(again, ["out"]);
      const [own] = await program.run({ inputs, batch: [{ rows, cache }] }, ["out"]);
      expect(of).toEqual(own);
    });
  });
});
