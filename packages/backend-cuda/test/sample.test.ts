// Tokens chosen on the card are those that core's sampler chooses from the same logits. The graph is a table whose row
// t holds the logits that follow token t, so that a generation walks through many different rows.

import { buildGraph, createSampler, type WeightSource } from "@polyllama/core";
import { choose, drawTokens } from "@polyllama/test-support/drawn";
import { logitTable, samplings, tableModel } from "@polyllama/test-support/logits";
import { expect, test } from "vitest";
import { describeWithEmulation, withGraph } from "./support.ts";

const V = 301;

await describeWithEmulation("sampling on the card", (emulation) => {
  const table = logitTable(V);
  const { graph, source } = tableModel(table, V);

  test.each(samplings)("equals sampling on the host: %o", async (setting) => {
    emulation.control.reset();
    const count = 9;
    await withGraph(emulation, graph, source, async (loaded) => {
      const sampler = createSampler({ ...setting, seed: 2 ** 40 + 77 });
      const cache = loaded.pool(count + 10).open();
      const prompt = Int32Array.of(3, 1, 4);
      const chosen: number[] = [];
      for await (const id of drawTokens(loaded, cache, prompt, sampler.draw!, count)) chosen.push(id);
      expect(emulation.control.reports()).toBe("");
      expect(chosen).toEqual(choose(table, V, sampler, prompt, count));
      expect(cache.length).toBe(3 + count - 1);
    });
    expect(emulation.control.live()).toBe(0);
  });

  test("one graph launch, no allocation and no other kernel per token", async () => {
    emulation.control.reset();
    await withGraph(emulation, graph, source, async (loaded) => {
      const cache = loaded.pool(50).open();
      const draw = createSampler({ seed: 5 }).draw!;
      const calls = new Map<string, number>();
      let taken = 0;
      for await (const _ of drawTokens(loaded, cache, Int32Array.of(1, 2), draw, 20)) {
        const log = emulation.control.log();
        if (++taken < 6 || taken > 15) continue; // by then both graphs are made, and the next step is under way
        for (const call of log) calls.set(call.split(" ")[0]!, (calls.get(call.split(" ")[0]!) ?? 0) + 1);
      }
      expect(taken).toBe(20);
      calls.delete("cuEventQuery"); // how often one asks depends on the card
      const each = { cuMemcpyHtoDAsync: 10, cuGraphLaunch: 10, cuMemcpyDtoHAsync: 10, cuEventRecord: 10 };
      expect(Object.fromEntries(calls)).toEqual(each);
    });
  });

  test("a sequence that is cut while steps of it are under way goes on behind what is left", async () => {
    emulation.control.reset();
    await withGraph(emulation, graph, source, async (loaded) => {
      const pool = loaded.pool(50, { sequences: 2 });
      const draw = createSampler({ seed: 5 }).draw!;
      const prompt = Int32Array.of(1, 2);
      const [cut, whole] = [pool.open(), pool.open()];
      const all: number[] = [];
      for await (const id of drawTokens(loaded, whole, prompt, draw, 12)) all.push(id);
      const taken: number[] = [];
      for await (const id of drawTokens(loaded, cut, prompt, draw, 12)) {
        taken.push(id);
        if (taken.length === 7) break;
      }
      expect(cut.length).toBeGreaterThan(2 + 7 - 1); // steps ahead
      cut.truncate(2 + 7 - 1);
      for await (const id of drawTokens(loaded, cut, Int32Array.of(taken.at(-1)!), draw, 5)) taken.push(id);
      expect(taken).toEqual(all);
    });
    expect(emulation.control.live()).toBe(0);
  });

  test("tokens beyond the first million are drawn as the host draws them", async () => {
    const wide = 2 ** 20 + 9;
    const logits = Float32Array.from({ length: wide }, (_, i) => (i >= 2 ** 20 - 3 ? 9 + (i % 4) / 4 : -(i % 7)));
    const info = { name: "table", shape: [1, wide], format: "f32" } as const;
    const large: WeightSource = {
      name: "test",
      weights: new Map([["table", info]]),
      read: async () => new Uint8Array(logits.slice().buffer),
      fingerprint: async () => "",
    };
    const rows = buildGraph((g) => [g.embedding("logits", g.tokens("tokens"), g.weight("table", [1, wide]))]);
    await withGraph(emulation, rows, large, async (loaded) => {
      const pool = loaded.pool(4, { sequences: 2 });
      for (const temperature of [0, 0.5]) {
        const sampler = createSampler({ temperature, topP: 1, seed: 3 });
        const chosen: number[] = [];
        const drawn = drawTokens(loaded, pool.open(), Int32Array.of(0), sampler.draw!, 1);
        for await (const id of drawn) chosen.push(id);
        expect(chosen).toEqual([sampler.sample(logits, [0], 1)]);
      }
    });
  });
});
