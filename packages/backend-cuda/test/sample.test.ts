// Tokens chosen on the card are those that core's sampler chooses from the same logits. The graph is a table whose row
// t holds the logits that follow token t, so that a generation walks through many different rows.

import { buildGraph, createSampler, type WeightSource } from "@polyllama/core";
import { logitTable, samplings, tableModel } from "@polyllama/test-support/logits";
import { expect, test } from "vitest";
import { describeWithEmulation, withProgram } from "./support.ts";

const V = 301;

await describeWithEmulation("sampling on the card", (emulation) => {
  const table = logitTable(V);
  const { graph, source } = tableModel(table, V);

  test.each(samplings)("equals sampling on the host: %o", async (setting) => {
    emulation.control.reset();
    const count = 9;
    await withProgram(emulation, graph, source, async (program) => {
      const sampler = createSampler({ ...setting, seed: 2 ** 40 + 77 });
      using cache = program.createCache(count + 10);
      const tokens = [3, 1, 4];
      const run = { cache, tokens: Int32Array.from(tokens), sampling: sampler.draw!, count };
      const chosen: number[] = [];
      for await (const id of program.sample!(run)) chosen.push(id);
      const expected: number[] = [];
      for (let i = 0; i < count; i++) {
        const last = tokens.at(-1)!;
        const id = sampler.sample(table.subarray(last * V, (last + 1) * V), tokens, 3);
        tokens.push(id);
        expected.push(id);
      }
      expect(emulation.control.reports()).toBe("");
      expect(chosen).toEqual(expected);
      expect(cache.length).toBe(3 + count - 1);
    });
    expect(emulation.control.live()).toBe(0);
  });

  test("one graph launch, no allocation and no other kernel per token", async () => {
    emulation.control.reset();
    await withProgram(emulation, graph, source, async (program) => {
      using cache = program.createCache(50);
      const sampling = createSampler({ seed: 5 }).draw!;
      const calls = new Map<string, number>();
      let taken = 0;
      for await (const _ of program.sample!({ cache, tokens: Int32Array.of(1, 2), sampling, count: 20 })) {
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

  test("a caller that stops early has a cache that ends with what it took", async () => {
    emulation.control.reset();
    await withProgram(emulation, graph, source, async (program) => {
      using cache = program.createCache(50);
      const sampling = createSampler({ seed: 5 }).draw!;
      let taken = 0;
      for await (const _ of program.sample!({ cache, tokens: Int32Array.of(1, 2), sampling, count: 40 })) {
        if (++taken === 7) break;
      }
      expect(cache.length).toBe(2 + 7 - 1);
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
    await withProgram(emulation, rows, large, async (program) => {
      for (const temperature of [0, 0.5]) {
        using cache = program.createCache(4);
        const sampler = createSampler({ temperature, topP: 1, seed: 3 });
        const run = { cache, tokens: Int32Array.of(0), sampling: sampler.draw!, count: 1 };
        for await (const id of program.sample!(run)) expect(id).toBe(sampler.sample(logits, [0], 1));
      }
    });
  });
});
