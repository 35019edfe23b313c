// Tokens chosen on the device are those that core's sampler chooses from the same logits. The graph is a table whose
// row t holds the logits that follow token t, so that a generation walks through many different rows.

import { buildGraph, createSampler } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { choose, drawTokens } from "@polyllama/test-support/drawn";
import { amount } from "@polyllama/test-support/full";
import { logitTable, samplings, tableModel } from "@polyllama/test-support/logits";
import { afterAll, beforeAll, expect, test } from "vitest";
import { webgpu } from "../src/index.ts";
import { drawOnDevice, drawOnHost, V } from "./draws.ts";
import { describeWithAdapter } from "./support.ts";

describeWithAdapter("sampling on the device", () => {
  const table = logitTable(V);
  const { graph, source } = tableModel(table, V);
  let device: Device;
  beforeAll(async () => {
    device = await webgpu();
  });
  afterAll(() => device[Symbol.asyncDispose]());

  const draws = amount(1000, 10_000);
  test.each(samplings)(`${draws} draws equal those on the host: %o`, async (setting) => {
    expect(await drawOnDevice(table, setting, draws)).toEqual(drawOnHost(table, setting, draws));
  });

  test.each(samplings)("a generation equals one on the host: %o", async (setting) => {
    const count = 50;
    const prompt = Int32Array.of(3, 1, 4);
    await using loaded = await loadGraph(device, graph, source);
    const pool = loaded.pool(count + 10);
    for (const seed of [1, 2 ** 40 + 77]) {
      const sampler = createSampler({ ...setting, seed });
      using cache = pool.open();
      const chosen: number[] = [];
      for await (const id of drawTokens(loaded, cache, prompt, sampler.draw!, count)) chosen.push(id);
      expect(chosen).toEqual(choose(table, V, sampler, prompt, count));
      expect(cache.length).toBe(3 + count - 1);
    }
  });

  test("a sequence that is cut while steps of it are under way goes on behind what is left", async () => {
    await using loaded = await loadGraph(device, graph, source);
    const pool = loaded.pool(50, { sequences: 2 });
    const { draw } = createSampler({ seed: 5 });
    const prompt = Int32Array.of(1, 2);
    const [cut, whole] = [pool.open(), pool.open()];
    const all: number[] = [];
    for await (const id of drawTokens(loaded, whole, prompt, draw!, 20)) all.push(id);
    const taken: number[] = [];
    for await (const id of drawTokens(loaded, cut, prompt, draw!, 20)) {
      taken.push(id);
      if (taken.length === 7) break;
    }
    expect(cut.length).toBeGreaterThan(2 + 7 - 1); // steps ahead
    cut.truncate(2 + 7 - 1);
    for await (const id of drawTokens(loaded, cut, Int32Array.of(taken.at(-1)!), draw!, 13)) taken.push(id);
    expect(taken).toEqual(all);
  });

  test("a logit that is NaN is an error, not a token", async () => {
    // Products of opposite infinities.
    const huge = new Float32Array(V * V).map((_, i) => ((i * i) % 7 < 3 ? 3e38 : -3e38));
    const damaged = { ...source, read: async () => new Uint8Array(huge.slice().buffer) };
    const overflowing = buildGraph((g) => {
      const weight = g.weight("table", [V, V]);
      return [g.linear("logits", g.embedding("x", g.tokens("tokens"), weight), weight)];
    });
    await using loaded = await loadGraph(device, overflowing, damaged);
    const cache = loaded.pool(10).open();
    const run = drawTokens(loaded, cache, Int32Array.of(1), createSampler({ seed: 5 }).draw!, 3);
    await expect(run.next()).rejects.toMatchObject({ code: "ERR_BACKEND" });
    expect(cache.length).toBe(0);
  });
});
