// `--adapter`: switched on while generating, merged while converting.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adapterOf, llamaGraph } from "@polyllama/core";
import { randomSource } from "@polyllama/test-support/weights";
import { openCheckpoint, writeAdapter } from "polyllama";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "./captured.ts";

const model = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=1&vocab=320&context=64";
const text = ["-p", "Once", "-n", "6", "--temperature", "0", "--ignore-eos", "--json"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-adapter-"));
  await using base = await openCheckpoint(model);
  const name = "layers.0.attention.wv.weight";
  const [a, b] = adapterOf(name);
  const weights = [
    { name: a, shape: [2, 64] },
    { name: b, shape: [32, 2] },
  ];
  const source = randomSource({ ...llamaGraph(base.config), weights });
  const adapter = { ...source, adapters: new Map([[name, { rank: 2, scale: 4 }]]) };
  await writeAdapter(join(folder, "lora"), adapter, base.config);
});
afterAll(() => rm(folder, { recursive: true }));

async function ids(...args: readonly string[]): Promise<readonly number[]> {
  const { code, stdout, stderr } = await run(["generate", ...text, ...args]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout).ids;
}

test("an adapter gives the same text switched on and merged, and another one than none", async () => {
  const lora = join(folder, "lora");
  const reference = ["--backend", "reference"];
  const switched = await ids(...reference, "-m", model, "--adapter", lora);
  const merged = join(folder, "merged.gguf");
  expect(await run(["convert", model, merged, "--adapter", lora])).toMatchObject({ code: 0, stdout: `${merged}\n` });
  expect(await ids(...reference, "-m", merged)).toEqual(switched);
  expect(await ids(...reference, "-m", model)).not.toEqual(switched);
});

test.each(["cpu", "onnxruntime"])("%s switches it on, too", async (backend) => {
  const options = ["-m", model, "--adapter", join(folder, "lora"), "--backend"];
  expect(await ids(...options, backend, "--no-cache", "--activations", "f32")).toEqual(
    await ids(...options, "reference"),
  );
});
