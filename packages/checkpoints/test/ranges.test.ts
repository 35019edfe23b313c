// Rows and columns of weights, of every kind of checkpoint and in every format: a read of some gives what slicing the
// whole gives, and touches no more of a file than it must.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ColumnRange, llamaGraph } from "@polyllama/core";
import { type QuantizedFormat, quantizedFormats } from "@polyllama/formats";
import { expectRangesOfWhole } from "@polyllama/test-support/ranges";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { everyFormat } from "@polyllama/test-support/weights";
import { mergeVocabularies, sentencePieceFromGguf, trainVocabulary } from "@polyllama/vocabulary";
import { describe, expect, test } from "vitest";
import {
  type ByteSource,
  type Checkpoint,
  extendVocabulary,
  memorySource,
  openCheckpoint,
  openLlama2c,
  openSynthetic,
  quantized,
  readLlama2cHeader,
  writeGguf,
  writeSafetensors,
} from "../src/index.ts";
import { serve } from "./serve.ts";
import { folderWith, huggingFaceConfig, huggingFaceTensors, small } from "./support.ts";
import { metaShards, torchFile } from "./torch-writer.ts";

const model = "synthetic://llama-2-7b?dim=256&heads=4&kv_heads=2&hidden=512&layers=1&vocab=259&context=64";

describe.each(everyFormat)("%s", (format) => {
  test("a synthetic checkpoint", async () => {
    await expectRangesOfWhole(openSynthetic(`${model}&format=${format}`));
  });

  test("a GGUF file", async () => {
    const path = join(await folderWith(), "model.gguf");
    await writeGguf(path, openSynthetic(`${model}&format=${format}&tied=true`));
    await using checkpoint = await openCheckpoint(path);
    expect(checkpoint.weights.get("layers.0.attention.wo.weight")?.format).toBe(format);
    await expectRangesOfWhole(checkpoint);
  });
});

test.each(["f32", "f16", "bf16"])("safetensors in half-split order, in %s", async (format) => {
  const folder = join(await folderWith(), "model");
  await writeSafetensors(folder, openSynthetic(`${model}&format=${format}`));
  await using checkpoint = await openCheckpoint(folder);
  await expectRangesOfWhole(checkpoint);
});

test("pytorch_model.bin", async () => {
  const folder = await folderWith({
    "pytorch_model.bin": await torchFile(huggingFaceTensors(small)),
    "config.json": JSON.stringify(huggingFaceConfig(small)),
  });
  await using checkpoint = await openCheckpoint(folder);
  await expectRangesOfWhole(checkpoint);
});

test.each([1, 2])("Meta's files, %i of them", async (count) => {
  const source = openSynthetic(`${model}&format=f16`);
  const files: Record<string, string | Uint8Array> = { "tokenizer.model": sentencePieceFromGguf(tinyMetadata([])) };
  for (const [number, tensors] of (await metaShards(source, count)).entries()) {
    files[`consolidated.0${number}.pth`] = await torchFile(tensors);
  }
  const { dim, layers, heads, kvHeads, normEps } = source.config;
  const params = { dim, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, norm_eps: normEps, vocab_size: -1 };
  await using checkpoint = await openCheckpoint(await folderWith({ ...files, "params.json": JSON.stringify(params) }));
  await expectRangesOfWhole(checkpoint);
});

describe("llama2.c", () => {
  test("version 1", async () => {
    await expectRangesOfWhole(await openBin(binary(1)));
  });

  test.each([8, 96])("version 2, in groups of %i", async (groupSize) => {
    await expectRangesOfWhole(await openBin(binary(2, groupSize, { ...small, layers: 1 })));
  });
});

test.each(quantizedFormats)("quantized on load to %s, where rows are long enough", async (format) => {
  const source = openSynthetic(`${model.replace("hidden=512", "hidden=96")}&format=f16`);
  await expectRangesOfWhole(quantized(source, format, { threads: 1 }));
});

test.each(["f16", "q8_0"] satisfies ("f16" | QuantizedFormat)[])("a grown vocabulary in %s", async (format) => {
  const options = { characterCoverage: 1, splitDigits: true } as const;
  const base = (await trainVocabulary(["the cat sat on the mat, that cat"], { ...options, vocabSize: 280 })).model;
  const extra = (await trainVocabulary(["舉頭望明月，低頭思故鄉。"], { ...options, vocabSize: 275 })).model;
  const folder = await folderWith({
    "base.model": base,
    "grown.model": mergeVocabularies(base, extra, "base", "extra").model,
  });
  const path = join(folder, "model");
  await writeSafetensors(path, openSynthetic(`${model.replace("vocab=259", "vocab=280")}&format=f16`));
  await using opened = await openCheckpoint(path, { tokenizer: join(folder, "base.model") });
  const checkpoint: Checkpoint = format === "f16" ? opened : quantized(opened, format, { threads: 1 });
  const grown = await extendVocabulary(checkpoint, join(folder, "grown.model"));
  expect(grown.config.vocabSize).toBeGreaterThan(280);
  await expectRangesOfWhole(grown);
});

test("behind a URL and among files that a user chose", async () => {
  const path = join(await folderWith(), "model.gguf");
  await writeGguf(path, openSynthetic(`${model}&format=q4_k`));
  const bytes = await readFile(path);
  const url = await serve({ "model.gguf": bytes });
  for (const location of [`${url}model.gguf`, [new File([new Uint8Array(bytes)], "model.gguf")]]) {
    await using checkpoint = await openCheckpoint(location);
    await expectRangesOfWhole(checkpoint);
  }
});

describe("how much is read", () => {
  const name = "layers.0.feed_forward.w2.weight"; // [32, F]
  const [rows, half] = [32, 20_000];
  const wide = { ...small, dim: rows, layers: 1, hiddenDim: 2 * half };

  /** The checkpoint over a source that notes the reads. */
  async function counted(config: typeof small, onRead: (length: number) => void = () => {}) {
    const source = memorySource("model.bin", binary(1, undefined, config));
    const read: ByteSource["read"] = (offset, length, signal) => {
      onRead(length);
      return source.read(offset, length, signal);
    };
    return openBin(source, read);
  }

  /** Cut out of the whole. */
  async function columnsOf(checkpoint: Checkpoint, { first, count }: ColumnRange): Promise<Uint8Array> {
    const whole = await checkpoint.read(name);
    const rowBytes = 4 * 2 * half;
    return Buffer.concat(
      Array.from({ length: whole.length / rowBytes }, (_, row) =>
        whole.subarray(row * rowBytes + 4 * first, row * rowBytes + 4 * (first + count)),
      ),
    );
  }

  test("columns of long rows alone, row by row", async () => {
    const lengths: number[] = [];
    const checkpoint = await counted(wide, (length) => lengths.push(length));
    lengths.length = 0;
    const columns = { first: half, count: half };
    const read = await checkpoint.read(name, { columns });
    expect(lengths).toEqual(new Array(rows).fill(4 * half));
    expect(Buffer.compare(read, await columnsOf(checkpoint, columns))).toBe(0);
  });

  test("columns of short rows out of pieces of at most 4 MiB", async () => {
    const lengths: number[] = [];
    const checkpoint = await counted({ ...wide, dim: 64 }, (length) => lengths.push(length));
    lengths.length = 0;
    const columns = { first: 300, count: 100 };
    const read = await checkpoint.read(name, { columns }); // [64, F] is 10 MiB
    expect(lengths.length).toBe(3);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(4 * 2 ** 20);
    expect(Buffer.compare(read, await columnsOf(checkpoint, columns))).toBe(0);
    lengths.length = 0;
    await checkpoint.read(name, { rows: { first: 7, count: 1 }, columns: { first: 10, count: 100 } });
    expect(lengths).toEqual([400]);
  });

  test("whole rows in one read", async () => {
    const lengths: number[] = [];
    const checkpoint = await counted(wide, (length) => lengths.push(length));
    lengths.length = 0;
    await checkpoint.read(name, { rows: { first: 2, count: 30 }, columns: { first: 0, count: 2 * half } });
    expect(lengths).toEqual([4 * 30 * 2 * half]);
  });

  test("an abort between two pieces ends it", async () => {
    const controller = new AbortController();
    let reads = 0;
    const checkpoint = await counted(wide, () => {
      if (++reads === 3) controller.abort(new Error("stop"));
    });
    reads = 0;
    const reading = checkpoint.read(name, { columns: { first: 0, count: half } }, controller.signal);
    await expect(reading).rejects.toThrow("stop");
    expect(reads).toBe(3);
  });
});

/** A file of llama2.c's version 1, or 2 with a size of groups, whose values say where they stand. */
function binary(version: 1 | 2, groupSize?: number, config = small): Uint8Array {
  const { dim, hiddenDim, layers, heads, kvHeads, vocabSize, contextLength } = config;
  const header = new DataView(new ArrayBuffer(256));
  const sizes = [0x616b3432, version, dim, hiddenDim, layers, heads, kvHeads, vocabSize, contextLength];
  for (const [i, size] of sizes.entries()) header.setInt32(4 * i, size, true);
  if (groupSize !== undefined) header.setInt32(37, groupSize, true);
  const { weights } = llamaGraph({ ...config, headDim: dim / heads });
  const isNorm = (shape: readonly number[]): boolean => shape.length === 1;
  const pieces = [
    ...weights.filter(({ shape }) => isNorm(shape)),
    ...weights.filter(({ shape }) => !isNorm(shape)),
  ].map(({ shape }) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const floats = (count: number): Uint8Array =>
      new Uint8Array(Float32Array.from({ length: count }, (_, i) => i + 1).buffer);
    if (groupSize === undefined || isNorm(shape)) return floats(elements);
    const quants = Uint8Array.from({ length: elements }, (_, i) => i % 251);
    return Buffer.concat([quants, floats(elements / groupSize)]);
  });
  return Buffer.concat([new Uint8Array(header.buffer), ...pieces]);
}

async function openBin(file: Uint8Array | ByteSource, read?: ByteSource["read"]): Promise<Checkpoint> {
  const source = file instanceof Uint8Array ? memorySource("model.bin", file) : file;
  const given = read === undefined ? source : { ...source, read };
  return openLlama2c(given, await readLlama2cHeader(given), undefined);
}
