// Names that a file gives its parts must not steer the terminal that shows them.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { huggingFaceConfig, huggingFaceTensors, safetensors, small } from "@polyllama/test-support/hugging-face";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run } from "./captured.ts";

// Its answers take a process of their own, and are not what is tested here.
vi.mock("../src/webgpu/probe.ts", () => ({ probe: async () => ({ reason: "not asked" }) }));

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

test("a notice escapes them, too, and a tensor that is refused is left out by the option that the refusal names", async () => {
  const { stderr } = await run(["inspect", folder]);
  expect(stderr).toContain("Passed over rotary frequencies and tables");
  expect(stderr).not.toMatch(/[\u009b\u202e]/);
  const odd = {
    name: "model.layers.0.self_attn.q_proj.lora_B.weight",
    dtype: "F32",
    shape: [1],
    bytes: Buffer.from([0, 0, 1, 1]),
  };
  await writeFile(join(folder, "model.safetensors"), safetensors([...huggingFaceTensors(small), odd]));
  const refused = await run(["inspect", folder]);
  expect(refused.code).toBe(1);
  const [, option] = /--ignore-tensors '(.+)'/.exec(refused.stderr)!;
  const read = await run(["inspect", "--ignore-tensors", option!, folder]);
  expect(read.code).toBe(0);
  expect(read.stderr).toContain(`Passed over tensors that were to be ignored: ${odd.name}.`);
});

test("an error escapes what a configuration says", async () => {
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...huggingFaceConfig(small), model_type: steer }));
  const { code, stderr } = await run(["inspect", folder]);
  expect(code).toBe(1);
  expect(stderr).toContain("model_type is \\u001b[2J\\u009b\\u202e");
});
