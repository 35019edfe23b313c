// The rules that all backends keep, and what a fork costs.

import { lifecycle } from "@polyllama/conformance/vitest";
import { buildGraph, type KvCache, type WeightSource } from "@polyllama/core";
import { afterEach, expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated, withProgram } from "./support.ts";

await describeWithEmulation("cuda", (emulation) => {
  afterEach(() => expect(emulation.control.live()).toBe(0)); // every test disposes its backend
  lifecycle(() => cuda(emulated(emulation)));

  test.each([5, 1100])(
    "a fork copies the blocks of the %i positions that hold something, not the capacity",
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
      await withProgram(emulation, graph, none, async (program) => {
        using cache = program.createCache(length + 95);
        const inputsOf = (rows: number) => {
          const values = (width: number, from: number) =>
            Float32Array.from({ length: rows * width }, (_, i) => Math.sin(from + i));
          return { q: values(heads * headDim, 0), k: values(kvHeads * headDim, 1), v: values(kvHeads * headDim, 2) };
        };
        await program.run({ inputs: inputsOf(length), batch: [{ rows: length, cache }] }, []);
        emulation.control.log();
        using fork = await cache.fork();
        const copied = emulation.control.log().flatMap((call) => /^cuMemcpyDtoHAsync (\d+)/.exec(call)?.[1] ?? []);
        expect(copied.reduce((sum, bytes) => sum + Number(bytes), 0)).toBe(
          2 * kvHeads * 32 * Math.ceil(length / 32) * headDim * 4,
        );
        const next = async (of: KvCache) =>
          await program.run({ inputs: inputsOf(2), batch: [{ rows: 2, cache: of }] }, ["out"]);
        const [of, own] = [await next(fork), await next(cache)];
        expect(of).toEqual(own);
      });
    },
  );
});
