// Tokens chosen on the card are those that core's sampler chooses from the same logits. The graph is a table whose row t holds the
// logits that follow token t, so that a generation walks through many different rows.

import { buildGraph, createSampler, type SamplingOptions, type WeightSource } from "@polyllama/core";
import { expect, test } from "vitest";
import { describeWithEmulation, withProgram } from "./support.ts";

const V = 301;

/** Logits of many kinds: flat, steep, tied, with distances that overflow and both zeros. */
function makeTable(): Float32Array<ArrayBuffer> {
  let state = 12345;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const table = new Float32Array(V * V);
  for (let row = 0; row < V; row++) {
    const spread = 10 ** (uniform() * 3 - 1);
    for (let i = 0; i < V; i++) {
      let logit = spread * (uniform() + uniform() + uniform() - 1.5);
      if (row % 4 === 1) logit = Math.round(logit);
      if (row % 7 === 2 && i % 3 === 0) logit = -3e38;
      if (row % 11 === 3 && i % 2 === 0) logit = i % 4 === 0 ? 0 : -0;
      table[row * V + i] = logit;
    }
  }
  return table;
}

const settings: readonly SamplingOptions[] = [
  { temperature: 0 },
  { temperature: 0.8, topP: 0.95 },
  { temperature: 1, topP: 1 },
  { temperature: 1.7, topK: 40, topP: 1 },
  { temperature: 0.5, topK: 17, topP: 0.9, minP: 0.02 },
  { temperature: 2, topP: 1, minP: 0.3 },
  { temperature: Math.LOG2E, topP: 1, minP: 0.25 }, // weights are powers of two, some just as many as are asked for
  { temperature: 1, topP: 1, minP: 1 },
  { temperature: 1e-30, topP: 0.999999 },
  { temperature: 1000, topP: 0 },
  { temperature: 1, topP: 1 - 2 ** -53 },
];

await describeWithEmulation("sampling on the card", (emulation) => {
  const table = makeTable();
  const info = { name: "table", shape: [V, V], format: "f32" } as const;
  const source: WeightSource = {
    name: "test",
    weights: new Map([["table", info]]),
    async read(_, { first, count } = { first: 0, count: V }) {
      return new Uint8Array(table.slice(first * V, (first + count) * V).buffer);
    },
    fingerprint: async () => "",
  };
  const graph = buildGraph((g) => [g.embedding("logits", g.tokens("tokens"), g.weight("table", [V, V]))]);

  test.each(settings)("equals sampling on the host: %o", async (setting) => {
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
