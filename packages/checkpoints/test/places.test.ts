// A checkpoint of any kind is the same wherever its files lie: in a folder, behind a URL, among files that a user
// chose.

import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { sentencePieceFromGguf } from "@polyllama/vocabulary";
import { expect, test } from "vitest";
import { type Checkpoint, openCheckpoint, openSynthetic, writeGguf, writeSafetensors } from "../src/index.ts";
import { serve } from "./serve.ts";
import { failure, folderWith, huggingFaceConfig, huggingFaceTensors, small } from "./support.ts";
import { metaShards, torchFile } from "./torch-writer.ts";

const model = { ...small, vocabSize: 259 };
const source = openSynthetic(
  "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=259&context=64&format=f16",
);
const tokenizer = sentencePieceFromGguf(tinyMetadata([]));

/**
 * Folders by kind, and the name of the file that stands for all where a folder that nobody can list would not be
 * enough.
 */
const kinds: Readonly<Record<string, () => Promise<{ readonly folder: string; readonly file?: string }>>> = {
  "safetensors with an index": async () => {
    const folder = await folderWith();
    await writeSafetensors(join(folder, "model"), source, { shardBytes: 100_000 });
    return { folder: join(folder, "model") };
  },
  "pytorch_model.bin": async () => ({
    folder: await folderWith({
      "pytorch_model.bin": await torchFile(huggingFaceTensors(model)),
      "config.json": JSON.stringify(huggingFaceConfig(model)),
      "tokenizer.model": tokenizer,
    }),
  }),
  "Meta's files": async () => {
    const shards = (await metaShards(source, 2)).entries();
    const files: Record<string, string | Uint8Array> = { "tokenizer.model": tokenizer };
    for (const [number, tensors] of shards) files[`consolidated.0${number}.pth`] = await torchFile(tensors);
    const { dim, layers, heads, kvHeads, normEps } = source.config;
    const params = { dim, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, norm_eps: normEps, vocab_size: -1 };
    return { folder: await folderWith({ ...files, "params.json": JSON.stringify(params) }) };
  },
  "a GGUF file in parts": async () => {
    const folder = await folderWith();
    await writeGguf(join(folder, "model.gguf"), source, { shardBytes: 100_000 });
    return { folder, file: (await readdir(folder)).sort()[0]! };
  },
};

async function content({ kind, config, tokenizer, weights, read }: Checkpoint): Promise<unknown> {
  const tensors = new Map<string, Uint8Array>();
  for (const name of weights.keys()) tensors.set(name, await read(name));
  return { kind, config, tokens: tokenizer?.encode("a b"), tensors };
}

test.each(Object.entries(kinds))("%s", async (_, make) => {
  const { folder, file = "" } = await make();
  const names = await readdir(folder);
  expect(names.filter((name) => /\.(gguf|safetensors|bin|pth)$/.test(name)).length).toBeGreaterThan(
    file === "" ? 0 : 1,
  );
  const files = await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const));
  await using onDisk = await openCheckpoint(folder);
  const expected = await content(onDisk);
  expect(expected).toMatchObject({ tokens: expect.any(Array) });
  const url = await serve(Object.fromEntries(files));
  const chosen = files.map(([name, bytes]) => new File([new Uint8Array(bytes)], name));
  for (const location of [`${url}${file}`, chosen]) {
    await using elsewhere = await openCheckpoint(location);
    expect(await content(elsewhere)).toEqual(expected);
  }
});

test("a part that is missing is named, wherever the others lie", async () => {
  const { folder, file = "" } = await kinds["a GGUF file in parts"]!();
  const second = file.replace("00001", "00002");
  await rm(join(folder, second));
  const bytes = await readFile(join(folder, file));
  const url = await serve({ [file]: bytes });
  for (const location of [folder, `${url}${file}`, [new File([new Uint8Array(bytes)], file)]]) {
    expect((await failure(openCheckpoint(location))).message).toContain(`missing: ${second}`);
  }
});
