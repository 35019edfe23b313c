// What a folder stands for: a checkpoint where it holds one GGUF file, and a tokenizer where it holds one.

import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCheckpoint, readTokenizer, writeGguf, writeSafetensors } from "../src/index.ts";

let folder: string;
let gguf: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-folders-"));
  gguf = join(folder, "poet.gguf");
  await using checkpoint = await openCheckpoint(poet);
  await writeGguf(gguf, checkpoint, {});
});
afterAll(() => rm(folder, { recursive: true }));

async function folderWith(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const [target, source] of Object.entries(files)) await copyFile(source, join(path, target));
  return path;
}

test.each(["m.gguf", "M.GGUF"])("a folder with %s alone, and whatever else, is that file", async (name) => {
  const path = await folderWith(`one-${name.slice(0, 1)}`, { [name]: gguf });
  await writeFile(join(path, "README.md"), "");
  await using checkpoint = await openCheckpoint(path);
  expect(checkpoint.kind).toBe("gguf");
  expect(checkpoint.name).toContain(name);
});

test("a folder with the parts of one split file is that file", async () => {
  const path = await folderWith("split", {});
  await using whole = await openCheckpoint(poet);
  await writeGguf(join(path, "m.gguf"), whole, { shardBytes: 2e6 });
  expect((await readdir(path)).length).toBeGreaterThan(1);
  await using checkpoint = await openCheckpoint(path);
  expect(checkpoint.stored).toHaveLength(whole.stored.length);
});

test("of several files none is chosen: they are listed", async () => {
  const path = await folderWith("two", { "a.gguf": gguf, "b.gguf": gguf });
  await expect(openCheckpoint(path)).rejects.toThrow(
    /the folder holds 2 GGUF files: a\.gguf, b\.gguf\. Give the path of one, such as .*two.a\.gguf/,
  );
});

test("a tokenizer may be given as its folder, and goes along when the checkpoint is written", async () => {
  const source = join(poet, "tokenizer.model");
  const path = await folderWith("tokenizer", { "tokenizer.model": source });
  const synthetic = "synthetic://llama-2-7b?dim=64&heads=4&hidden=96&layers=1&vocab=6144&context=64&format=f16";
  await using checkpoint = await openCheckpoint(synthetic, { tokenizer: path });
  expect(checkpoint.tokenizer?.encode("Once")).toEqual((await readTokenizer(source, 6144)).tokenizer.encode("Once"));
  const written = join(folder, "written");
  await writeSafetensors(written, checkpoint, {});
  expect(await readdir(written)).toContain("tokenizer.model");
  const other = await folderWith("other", { "m.gguf": gguf });
  expect((await readTokenizer(other, 6144)).tokenizer.vocabSize).toBe(6144);
});

test("a folder without a tokenizer says what it lacks", async () => {
  const path = await folderWith("none", { "a.gguf": gguf, "b.gguf": gguf });
  await expect(readTokenizer(path, 6144)).rejects.toThrow(
    /no tokenizer\.model, tokenizer\.json or tokenizer\.bin, and not exactly one GGUF/,
  );
});
