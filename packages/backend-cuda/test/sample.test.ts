// Tokens chosen on the card are those that core's sampler chooses from the same logits. The graph is a table whose row t holds the
// logits that follow token t, so that a generation walks through many different rows.

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
      expect(Object.fromEntries(calls)).toEqual({ cuGraphLaunch: 10, cuEventRecord: 10 });
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

  test("a vocabulary that the kernel's keys cannot tell apart is left to the host", async () => {
    const wide = 2 ** 20 + 1;
    const info = { name: "table", shape: [1, wide], format: "f32" } as const;
    const large: WeightSource = {
      name: "test",
      weights: new Map([["table", info]]),
      read: async () => new Uint8Array(4 * wide),
      fingerprint: async () => "",
    };
    const wideGraph = (width: number) =>
      buildGraph((g) => [g.embedding("logits", g.tokens("tokens"), g.weight("table", [1, width]))]);
    await withProgram(emulation, wideGraph(wide), large, async (program) => expect(program.sample).toBeUndefined());
    const most = { ...large, weights: new Map([["table", { ...info, shape: [1, wide - 1] }]]) };
    const read = async () => new Uint8Array(4 * (wide - 1));
    await withProgram(emulation, wideGraph(wide - 1), { ...most, read }, async (program) =>
      expect(program.sample).toBeTypeOf("function"),
    );
  });
});
