// Names that a file gives its parts must not steer the terminal that shows them.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { huggingFaceConfig, huggingFaceTensors, safetensors, small } from "../../checkpoints/test/model.ts";
import { run } from "./program.ts";

const steer = "\u001b[2J\u009b\u202e";
const name = `${steer}.rotary_emb.inv_freq`;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-terminal-"));
  const odd = { name, dtype: "F32", shape: [1], bytes: new Uint8Array(4) };
  await writeFile(join(folder, "model.safetensors"), safetensors([...huggingFaceTensors(small), odd]));
  await writeFile(join(folder, "config.json"), JSON.stringify(huggingFaceConfig(small)));
});
afterAll(() => rm(folder, { recursive: true }));

test("inspect escapes the names of tensors, in its lines and in JSON", async () => {
  const { code, stdout } = await run(["inspect", "--tensors", folder]);
  expect(code).toBe(0);
  expect(stdout).toContain("\\u001b[2J\\u009b\\u202e.rotary_emb.inv_freq");
  expect(stdout).not.toMatch(/[\u009b\u202e]/);
  const json = await run(["inspect", "--json", folder]);
  expect(json.stdout).not.toMatch(/[\u009b\u202e]/);
  const { tensors }: { readonly tensors: readonly { readonly name: string }[] } = JSON.parse(json.stdout);
  expect(tensors.map((tensor) => tensor.name)).toContain(name);
});

test("an error escapes what a configuration says", async () => {
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...huggingFaceConfig(small), model_type: steer }));
  const { code, stderr } = await run(["inspect", folder]);
  expect(code).toBe(1);
  expect(stderr).toContain("model_type is \\u001b[2J\\u009b\\u202e");
});
