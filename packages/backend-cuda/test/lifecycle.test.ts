// The rules that all backends keep, and what a fork costs.

import { devices } from "@polyllama/conformance/vitest";
import { buildGraph, type WeightSource } from "@polyllama/core";
import type { SequenceCache } from "@polyllama/core/device";
import { afterEach, expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated, withGraph } from "./support.ts";

await describeWithEmulation("cuda", (emulation) => {
  afterEach(() => expect(emulation.control.live()).toBe(0)); // every test disposes its backend
  devices(() => cuda(emulated(emulation)));

  test.each([5, 1100])(
    "a fork of %i positions copies nothing, and the block that it writes into when it does",
    async (length) => {
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
      await withGraph(emulation, graph, none, async (loaded) => {
        const pool = loaded.pool(length + 95, { sequences: 2 });
        const cache = pool.open();
        const inputsOf = (rows: number) => {
          const values = (width: number, from: number) =>
            Float32Array.from({ length: rows * width }, (_, i) => Math.sin(from + i));
          return { q: values(heads * headDim, 0), k: values(kvHeads * headDim, 1), v: values(kvHeads * headDim, 2) };
        };
        await loaded.run({ inputs: inputsOf(length), sequences: [{ rows: length, cache }] }, []);
        emulation.control.log();
        const fork = cache.fork();
        expect(emulation.control.log()).toEqual([]);
        const next = (of: SequenceCache) =>
          loaded.run({ inputs: inputsOf(2), sequences: [{ rows: 2, cache: of }] }, ["out"]);
        const forked = await next(fork);
        const copied = emulation.control.log().flatMap((call) => /^cuMemcpyDtoDAsync (\d+)/.exec(call)?.[1] ?? []);
        expect(copied.map(Number)).toEqual([2 * kvHeads * pool.blockRows * headDim * 4]);
        expect(forked).toEqual(await next(cache));
      });
    },
  );
});
