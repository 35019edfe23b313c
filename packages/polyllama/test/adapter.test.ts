// A model with an adapter: switched on beside its weights, or merged into them, it says the same.

import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { openSynthetic } from "@polyllama/checkpoints";
import { estimateTolerance, worstShare } from "@polyllama/conformance";
import { type AdapterSource, adapterOf, adapterScales, llamaGraph } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { fixture } from "@polyllama/test-support/fixtures";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import { randomSource } from "@polyllama/test-support/weights";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Llama, mergeAdapter, openAdapter, writeAdapter } from "../src/index.ts";

const address = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=64";
const base = openSynthetic(address);
const graph = llamaGraph(base.config);
const ids = [1, 40, 7, 300, 41];

function lowRank(trained: readonly string[] = []): AdapterSource {
  const targets = graph.weights.filter(({ name }) => /layers\.\d+\.(?:attention\.wk|feed_forward\.w1)/.test(name));
  const halves = targets.flatMap(({ name, shape: [rows = 0, columns = 0] }) => {
    const [a, b] = adapterOf(name);
    return [
      { name: a, shape: [3, columns] },
      { name: b, shape: [rows, 3] },
    ];
  });
  const whole = graph.weights.filter(({ name }) => trained.includes(name));
  const adapters = new Map(targets.map(({ name }) => [name, { rank: 3, scale: 2 / 3 }]));
  return { ...randomSource({ ...graph, weights: [...halves, ...whole] }), adapters };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-adapter-"));
  await writeAdapter(join(folder, "low"), lowRank(), base.config);
  await writeAdapter(join(folder, "whole"), lowRank(["norm.weight"]), base.config);
});
afterAll(() => rm(folder, { recursive: true }));

test("gives switched on what it gives merged, within what f32 weights lose", async () => {
  await using device = reference();
  await using switched = await Llama.load(base, { backend: device, adapter: join(folder, "low") });
  await using adapter = await openAdapter(join(folder, "low"), base.config);
  const merged = mergeAdapter(base, adapter);
  await using plain = await Llama.load(base, { backend: device });
  const step = { inputs: { tokens: Int32Array.from(ids) }, sequences: [{ rows: ids.length }] };
  const f32 = { ...device.roundings, unit: 2 ** -24 };
  const tolerance = await estimateTolerance(graph, merged, step, "logits", f32);
  const [logits] = await switched.values(ids, ["logits"]);
  const [without] = await plain.values(ids, ["logits"]);
  const share = worstShare(logits!, tolerance);
  expect(share).toBeGreaterThan(0); // merged weights are rounded
  expect(share).toBeLessThanOrEqual(1);
  expect(worstShare(without!, tolerance)).toBeGreaterThan(1e3); // which is something else

  await using whole = await Llama.load(merged, { backend: device });
  const options = { temperature: 0, maxTokens: 8, ignoreEos: true } as const;
  const [one, other] = [await switched.complete(ids, options), await whole.complete(ids, options)];
  expect(one.ids).toEqual(other.ids);
  expect(one.ids).not.toEqual((await plain.complete(ids, options)).ids);
});

/** What PEFT computed, in float64 but for norms and rotation, which transformers computes in f32. */
interface Golden {
  readonly ids: readonly number[];
  /** Of the last two tokens. */
  readonly logits: readonly (readonly number[])[];
}

test("that PEFT saved gives the logits that PEFT computed with it", async () => {
  const golden: Golden = JSON.parse(readFileSync(fixture("peft-adapter/logits.json"), "utf8"));
  const { config, graph: tiny, source } = tinyModel();
  await using adapter = await openAdapter(fixture("peft-adapter"), config);
  await using device = reference();
  await using loaded = await loadGraph(device, tiny, source);
  await loaded.parameters.addAdapter("golden", adapter, { scale: adapterScales(adapter) });
  const rows = golden.ids.length;
  const step = { inputs: { tokens: Int32Array.from(golden.ids) }, sequences: [{ rows }] };
  const f32 = { ...device.roundings, unit: 2 ** -24 };
  const tolerance = await estimateTolerance(tiny, mergeAdapter(source, adapter), step, "logits", f32);
  const [switched] = await loaded.run({ ...step, sequences: [{ rows, adapter: "golden" }] }, ["logits"]);
  const data = switched!.data.slice(); // as asked for
  golden.logits.flat().forEach((value, i) => {
    data[data.length - golden.logits.flat().length + i] = value;
  });
  const share = worstShare({ shape: switched!.shape, data }, tolerance);
  expect(share).toBeGreaterThan(0);
  expect(share).toBeLessThanOrEqual(1);
});

test("is refused with the way out where it cannot be switched on", async () => {
  await using device = reference();
  await expect(Llama.load(base, { backend: device, adapter: join(folder, "whole") })).rejects.toMatchObject({
    code: "ERR_CHECKPOINT",
    message: expect.stringContaining("merge the adapter into the model"),
  });
  expect((await device.memory()).allocated).toBe(0);
  const other = new Proxy(device, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === "features") return { ...target.features, adapters: false };
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  await expect(Llama.load(base, { backend: other, adapter: join(folder, "low") })).rejects.toMatchObject({
    code: "ERR_UNSUPPORTED",
    message: expect.stringContaining("polyllama convert MODEL DEST --adapter PATH"),
  });
});
