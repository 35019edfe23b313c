// `chat --template`: names, files, and what is said where there is no format.

import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { writeTextFolder } from "@polyllama/test-support/text-folder";
import { openCheckpoint } from "polyllama";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run, runHere } from "./captured.ts";

// Its answers take a process of their own, and are not what is tested here.
vi.mock("../src/webgpu/probe.ts", () => ({ probe: async () => ({ reason: "not asked" }) }));

const chat = ["chat", "--backend", "reference", "--seed", "1", "-n", "2", "--json"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-template-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function promptIds(...more: readonly string[]): Promise<readonly number[]> {
  const { code, stdout, stderr } = await run([...chat, ...more], "Hello");
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return (JSON.parse(stdout) as { promptIds: number[] }).promptIds; // what the command prints
}

test("a format by name is another than the checkpoint's own", async () => {
  const [own, named] = [await promptIds(), await promptIds("--template", "chatml")];
  expect(named).not.toEqual(own);
  for (const prompt of [own, named]) expect(prompt.filter((id) => id === 1)).toEqual([1]);
});

test("a template from a file", async () => {
  const path = join(folder, "own.jinja");
  await writeFile(path, "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
  expect((await promptIds("--template", path)).filter((id) => id === 1)).toEqual([1]);
});

test("a name that there is not", async () => {
  const { code, stderr } = await run([...chat, "--template", "llama"], "Hello");
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /no --template "llama"\. Formats by name: llama-2, .*chatml.*; of .* itself: default; or the path of a \.jinja file/,
  );
});

test("a template of the checkpoint's own by name, shown by inspect", async () => {
  const path = join(folder, "named");
  await writeTextFolder(path, { files: { "additional_chat_templates/tool_use.jinja": "{{ messages[0].content }}!" } });
  const found = await runHere("inspect", path);
  expect(found.stdout).toMatch(
    / tool_use +26 characters, additional_chat_templates\/tool_use\.jinja \(--template tool_use\)/,
  );
  const ids = await promptIds("--model", path, "--template", "tool_use");
  await using opened = await openCheckpoint(path);
  expect(ids).toEqual(opened.tokenizer!.encode("Hello!", { bos: false }));
});

test("a file that is not there", async () => {
  const { code, stderr } = await run([...chat, "--template", "/nowhere/x.jinja"], "Hello");
  expect(code).toBe(2);
  expect(stderr).toMatch(/\/nowhere\/x\.jinja cannot be read/);
});

test("a checkpoint without a format asks for --template, in the command line's words", async () => {
  for (const name of ["config.json", "model.safetensors", "tokenizer.model"]) {
    await symlink(join(poet, name), join(folder, name));
  }
  const { code, stderr } = await run([...chat, "--model", folder], "Hello");
  expect(code).toBe(2);
  expect(stderr).toMatch(/has no chat template.*as --template: llama-2, .*or the path of a \.jinja file/);
});
