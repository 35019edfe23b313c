import { readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rowCount, tokenizerFromSentencePiece } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { mergeVocabularies, trainVocabulary } from "@polyllama/vocabulary";
import { beforeAll, describe, expect, test } from "vitest";
import { extendVocabulary, openCheckpoint, writeGguf, writeSafetensors } from "../src/index.ts";
import { failure, folderWith, huggingFaceConfig, huggingFaceTensors, safetensors, small } from "./support.ts";

const base = { ...small, vocabSize: 280, dim: 32, headDim: 8 };
const verses = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。", "明月几时有"];
let baseModel: Uint8Array;
let grownModel: Uint8Array;
let added: readonly string[];

beforeAll(async () => {
  const options = { characterCoverage: 1, splitDigits: true } as const;
  baseModel = (await trainVocabulary(["the cat sat on the mat, that cat"], { ...options, vocabSize: 280 })).model;
  const extra = (await trainVocabulary(verses, { ...options, vocabSize: 285 })).model;
  const merged = mergeVocabularies(baseModel, extra, "base", "extra");
  grownModel = merged.model;
  added = merged.added;
});

async function files(): Promise<{ folder: string; grown: string }> {
  const config = huggingFaceConfig(base);
  const folder = await folderWith({
    "config.json": JSON.stringify(config),
    "model.safetensors": safetensors(huggingFaceTensors(base)),
    "tokenizer.model": baseModel,
  });
  const grown = join(await folderWith(), "grown.model");
  await writeFile(grown, grownModel);
  return { folder, grown };
}

/** Values of a row of the embedding table. */
async function rows(path: string, first: number, count: number, name = "tok_embeddings.weight"): Promise<Float32Array> {
  await using checkpoint = await openCheckpoint(path);
  const bytes = await checkpoint.read(name, { rows: { first, count } });
  const values = new Float32Array(count * base.dim); // [count, D]
  formats[checkpoint.weights.get(name)!.format].dequantize(bytes, values);
  return values;
}

describe("extending a checkpoint's vocabulary", () => {
  test.each(["folder", "file.gguf"])("keeps old rows and adds means of sub-token rows: %s", async (output) => {
    const { folder, grown } = await files();
    const path = join(await folderWith(), output);
    await using checkpoint = await openCheckpoint(folder);
    const extended = await extendVocabulary(checkpoint, grown);
    await (output.endsWith(".gguf") ? writeGguf : writeSafetensors)(path, extended);

    await using written = await openCheckpoint(path);
    const vocabSize = base.vocabSize + added.length;
    expect(written.config).toEqual({ ...base, vocabSize });
    expect(written.tokenizer?.vocabSize).toBe(vocabSize);
    expect(written.tokenizer?.encode("明月")).toEqual(tokenizerFromSentencePiece(grownModel, "grown").encode("明月"));
    for (const [name, info] of checkpoint.weights) {
      const all = { rows: { first: 0, count: rowCount(info) } };
      expect(Buffer.from(await written.read(name, all)).equals(await checkpoint.read(name, all)), name).toBe(true);
    }
    const id = base.vocabSize + added.indexOf("明月");
    const old = tokenizerFromSentencePiece(baseModel, "base");
    const subTokens = [..."明月"].flatMap((character) =>
      [...Buffer.from(character)].map((byte) => old.id(`<0x${byte.toString(16).toUpperCase()}>`)!),
    );
    for (const name of ["tok_embeddings.weight", "output.weight"]) {
      const parts = await Promise.all(subTokens.map((token) => rows(folder, token, 1, name)));
      const mean = parts[0]!.map((_, column) => parts.reduce((sum, part) => sum + part[column]!, 0) / parts.length);
      expect(await rows(path, id, 1, name)).toEqual(mean);
    }
    if (output === "folder") {
      expect(JSON.parse(await readFile(join(path, "config.json"), "utf8"))).toMatchObject({ vocab_size: vocabSize });
      expect((await readFile(join(path, "tokenizer.model"))).equals(grownModel)).toBe(true);
    }
  });

  test("adds the mean of all rows, or rows of a file", async () => {
    const { folder, grown } = await files();
    await using checkpoint = await openCheckpoint(folder);
    const all = await rows(folder, 0, base.vocabSize);
    const mean = Float32Array.from({ length: base.dim }, (_, column) => {
      let sum = 0;
      for (let row = 0; row < base.vocabSize; row++) sum += all[row * base.dim + column]!;
      return sum / base.vocabSize;
    });
    const last = { rows: { first: base.vocabSize + added.length - 1, count: 1 } };
    const meant = await extendVocabulary(checkpoint, grown, { rows: "mean" });
    expect(new Float32Array((await meant.read("tok_embeddings.weight", last)).buffer)).toEqual(mean);

    const own = Float32Array.from({ length: added.length * base.dim }, (_, i) => i / 8);
    const shape = [added.length, base.dim];
    const names = ["model.embed_tokens.weight", "lm_head.weight"];
    const tensors = names.map((name) => ({ name, dtype: "F32", shape, bytes: new Uint8Array(own.buffer) }));
    const file = join(await folderWith({ "rows.safetensors": safetensors(tensors) }), "rows.safetensors");
    const given = await extendVocabulary(checkpoint, grown, { rows: { file } });
    const both = { rows: { first: base.vocabSize - 1, count: 3 } };
    const values = new Float32Array((await given.read("output.weight", both)).buffer);
    expect(values.slice(base.dim)).toEqual(own.slice(0, 2 * base.dim));
    expect(values.slice(0, base.dim)).toEqual(await rows(folder, base.vocabSize - 1, 1, "output.weight"));
    const before = await given.fingerprint();
    expect(before).not.toBe(await meant.fingerprint());
    expect(await (await extendVocabulary(checkpoint, grown, { rows: { file } })).fingerprint()).toBe(before);
    const others = tensors.map((tensor) => ({ ...tensor, bytes: new Uint8Array(own.map((value) => -value).buffer) }));
    const { atime, mtime } = await stat(file);
    await writeFile(file, safetensors(others));
    await utimes(file, atime, mtime);
    expect(await (await extendVocabulary(checkpoint, grown, { rows: { file } })).fingerprint()).not.toBe(before);
    expect((await failure(given.read("output.weight", both))).message).toMatch(/changed since it was opened/);

    const short = safetensors([
      { ...tensors[0]!, shape: [1, base.dim], bytes: new Uint8Array(4 * base.dim) },
      tensors[1]!,
    ]);
    const wrong = join(await folderWith({ "rows.safetensors": short }), "rows.safetensors");
    const error = await failure(extendVocabulary(checkpoint, grown, { rows: { file: wrong } }));
    expect(error.message).toContain(`It must be [${added.length}, ${base.dim}]`);
  });

  test("is refused for a vocabulary that does not continue the model's own", async () => {
    const { folder } = await files();
    await using checkpoint = await openCheckpoint(folder);
    const other = (await trainVocabulary(verses, { vocabSize: 285, characterCoverage: 1 })).model;
    const path = join(await folderWith({ "other.model": other }), "other.model");
    const error = await failure(extendVocabulary(checkpoint, path));
    expect(error).toMatchObject({ code: "ERR_TOKENIZER" });
    expect(error.message).toMatch(/token 259 is "明月", but "at" in the model's own vocabulary of 280/);
  });
});
