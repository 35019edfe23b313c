// Tokens chosen on the device are those that core's sampler chooses from the same logits. The graph is a table whose row t holds the
// logits that follow token t, so that a generation walks through many different rows.

import { buildGraph, createSampler } from "@polyllama/core";
import { amount } from "@polyllama/test-support/full";
import { logitTable, samplings, tableModel } from "@polyllama/test-support/logits";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type WebGpuBackend, webgpu } from "../src/index.ts";
import { drawOnDevice, drawOnHost, V } from "./draws.ts";
import { describeWithAdapter } from "./support.ts";

describeWithAdapter("sampling on the device", () => {
  const table = logitTable(V);
  const { graph, source } = tableModel(table, V);
  let backend: WebGpuBackend;
  beforeAll(async () => {
    backend = await webgpu();
  });
  afterAll(async () => {
    await backend[Symbol.asyncDispose]();
  });

  const draws = amount(1000, 10_000);
  test.each(samplings)(`${draws} draws equal those on the host: %o`, async (setting) => {
    expect(await drawOnDevice(table, setting, draws)).toEqual(drawOnHost(table, setting, draws));
  });

  test.each(samplings)("a generation equals one on the host: %o", async (setting) => {
    const count = 50;
    await using program = await backend.compile(graph, source);
    for (const seed of [1, 2 ** 40 + 77]) {
      const sampler = createSampler({ ...setting, seed });
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
      expect(chosen).toEqual(expected);
      expect(cache.length).toBe(3 + count - 1);
    }
  });

  test("a caller that stops early has a cache that ends with what it took", async () => {
    await using program = await backend.compile(graph, source);
    using cache = program.createCache(50);
    const sampling = createSampler({ seed: 5 }).draw!;
    const taken: number[] = [];
    for await (const id of program.sample!({ cache, tokens: Int32Array.of(1, 2), sampling, count: 40 })) {
      taken.push(id);
      if (taken.length === 7) break;
    }
    expect(cache.length).toBe(2 + 7 - 1);
  });

  test("a logit that is NaN is an error, not a token", async () => {
    // Products of opposite infinities.
    const huge = new Float32Array(V * V).map((_, i) => ((i * i) % 7 < 3 ? 3e38 : -3e38));
    const damaged = { ...source, read: async () => new Uint8Array(huge.slice().buffer) };
    const overflowing = buildGraph((g) => {
      const weight = g.weight("table", [V, V]);
      return [g.linear("logits", g.embedding("x", g.tokens("tokens"), weight), weight)];
    });
    await using program = await backend.compile(overflowing, damaged);
    using cache = program.createCache(10);
    const sampling = createSampler({ seed: 5 }).draw!;
    const run = program.sample!({ cache, tokens: Int32Array.of(1), sampling, count: 3 });
    await expect(run.next()).rejects.toMatchObject({ code: "ERR_BACKEND" });
    expect(cache.length).toBe(0);
  });
});
