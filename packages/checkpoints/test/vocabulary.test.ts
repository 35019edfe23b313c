import { join } from "node:path";
import type { Tokenizer, WeightName, WeightRanges } from "@polyllama/core";
import { llamaGraph, presets, tokenizerFromSentencePiece } from "@polyllama/core";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { sentencePieceFromGguf } from "@polyllama/vocabulary";
import { describe, expect, test } from "vitest";
import {
  type Checkpoint,
  compareCheckpoints,
  type OpenOptions,
  openCheckpoint,
  writeGguf,
  writeSafetensors,
} from "../src/index.ts";
import { checkVocabulary } from "../src/read/fit-vocabulary.ts";
import { coordinates, failure, folderWith, huggingFaceFiles, small } from "./support.ts";

const check = (rows: number, tokens: number): void => {
  const tokenizer = { vocabSize: tokens } as Tokenizer; // nothing else is looked at
  checkVocabulary({ name: "model", config: { ...small, vocabSize: rows }, tokenizer });
};

describe("a tokenizer that does not fit the table", () => {
  test("is refused with the names of the pairs that both belong to", () => {
    const { vocabSize: rows } = presets["chinese-alpaca-2-7b"];
    const { vocabSize: tokens } = presets["chinese-llama-7b"];
    expect(() => check(rows, tokens)).toThrow(
      "model: the tokenizer has 49953 tokens, but the embedding table 55296 rows. " +
        "Weights of 55296 rows are those of Chinese-LLaMA-2 and Chinese-Alpaca-2. " +
        "A tokenizer of 49953 tokens is that of Chinese-LLaMA. " +
        "Give the tokenizer of Chinese-LLaMA-2 and Chinese-Alpaca-2, with the option `tokenizer`, with its added_tokens.json " +
        "or tokenizer_config.json where it has one; or set `fitVocabulary: true` to leave out the rows that have no token.",
    );
    expect(() => check(49_954, 49_953)).toThrow(/Give the tokenizer of Chinese-Alpaca,/);
    expect(() => check(32_000, 55_296)).toThrow(/Give the tokenizer of Llama 1 and 2,/);
    expect(() => check(17, 16)).toThrow(/rows\. Give the tokenizer that belongs to these weights/);
    expect(() => check(49_953, 49_953)).not.toThrow();
  });
});

describe("a table that is not as long as the vocabulary", () => {
  const metadata = tinyMetadata(["▁", "a", "▁a"].map((piece, rank) => ({ piece, score: rank })));
  const tokens = (metadata.get("tokenizer.ggml.tokens") as string[]).length;
  const config = (vocabSize: number) => ({ ...small, vocabSize });

  async function folder(rows: number, declared: number, files: Readonly<Record<string, string>> = {}): Promise<string> {
    return folderWith({
      ...huggingFaceFiles(config(rows), { vocab_size: declared }),
      "tokenizer.model": sentencePieceFromGguf(metadata),
      ...files,
    });
  }
  const open = async (rows: number, options: OpenOptions = {}, declared = rows, files = {}): Promise<Checkpoint> =>
    openCheckpoint(await folder(rows, declared, files), options);
  /** The next multiple of eight, and the one after it. */
  const padded = Math.ceil((tokens + 1) / 8) * 8;

  test.each([
    ["as the configuration says", padded, padded],
    ["though the configuration says otherwise", padded, tokens],
    ["by more", padded + 48, padded + 48],
  ])("padding is left out, %s", async (_, rows, declared) => {
    await using opened = await open(rows, {}, declared);
    expect(opened.config.vocabSize).toBe(tokens);
    expect(opened.weights.get("tok_embeddings.weight")?.shape).toEqual([tokens, small.dim]);
    expect(opened.weights.get("output.weight")?.shape).toEqual([tokens, small.dim]);
    expect(opened.stored.find(({ name }) => name === "lm_head.weight")?.shape).toEqual([rows, small.dim]);
    expect(opened.notices).toEqual([expect.stringContaining(`the ${rows - tokens} behind them are left out`)]);
    const last = new Float32Array(
      (await opened.read("output.weight", { rows: { first: tokens - 1, count: 1 } })).buffer,
    );
    const output = opened.stored.findIndex(({ name }) => name === "lm_head.weight");
    expect(last).toEqual(coordinates(output, tokens - 1, small.dim));
    await expect(opened.read("output.weight", { rows: { first: tokens, count: 1 } })).rejects.toThrow(/do not exist/);
  });

  test("what is written of it opens, in either layout", async () => {
    await using source = await open(padded);
    const target = await folderWith();
    await writeGguf(join(target, "m.gguf"), source);
    await writeSafetensors(join(target, "folder"), source);
    for (const path of [join(target, "m.gguf"), join(target, "folder")]) {
      await using written = await openCheckpoint(path);
      expect(written.config.vocabSize).toBe(tokens);
      expect(written.notices).toEqual([]);
      expect((await compareCheckpoints(source, written)).agrees).toBe(true);
    }
  });

  test("pieces of GGUF that only name padding rows are none", async () => {
    await using source = await open(padded);
    const more = Array.from({ length: padded - tokens }, (_, i) => `[PAD${tokens + i}]`);
    const path = join(await folderWith(), "m.gguf");
    await using whole = await openCheckpoint(await folder(padded, padded), { fitVocabulary: true });
    await writeGguf(path, { ...whole, config: config(padded), metadata: paddedMetadata(more), ...tablesOf(padded) });
    await using opened = await openCheckpoint(path);
    expect(opened.tokenizer?.vocabSize).toBe(tokens);
    expect(opened.config.vocabSize).toBe(tokens);
    expect(opened.notices).toHaveLength(1);
    expect(opened.tokenizer?.encode("a")).toEqual(source.tokenizer?.encode("a"));

    function tablesOf(rows: number) {
      const weights = new Map(
        [...whole.weights].map(([name, info]) => [
          name,
          { ...info, shape: info.shape.map((size) => (size === tokens ? rows : size)) },
        ]),
      );
      return {
        weights,
        async read(name: WeightName, { rows }: WeightRanges = {}) {
          const info = weights.get(name)!;
          return new Uint8Array(4 * (rows?.count ?? info.shape[0]!) * (info.shape.length === 1 ? 1 : info.shape[1]!));
        },
      };
    }
  });

  function paddedMetadata(more: readonly string[]): Map<string, unknown> {
    const append = (key: string, value: unknown): [string, unknown] => [
      `tokenizer.ggml.${key}`,
      [
        ...(metadata.get(`tokenizer.ggml.${key}`) as ArrayLike<unknown> & Iterable<unknown>),
        ...more.map((piece) => value ?? piece),
      ],
    ];
    return new Map([...metadata, append("tokens", undefined), append("scores", -1000), append("token_type", 5)]);
  }

  test("other differences are refused, and the option helps", async () => {
    const extra = { "added_tokens.json": JSON.stringify({ "<x>": tokens, "<y>": tokens + 1 }) };
    for (const [rows, files, fitted] of [
      [tokens + 1, {}, tokens], // one token is missing rather than padding there
      [4 * padded, {}, tokens],
      [8 * Math.ceil(tokens / 6), {}, tokens], // a third more is no rounding
      [tokens + 1, extra, tokens + 1],
    ] as const) {
      const error = await failure(open(rows, {}, rows, files));
      expect(error).toMatchObject({ code: "ERR_CHECKPOINT" });
      expect(error.message).toMatch(/set `fitVocabulary: true`/);
      await using opened = await open(rows, { fitVocabulary: true }, rows, files);
      expect(opened.config.vocabSize).toBe(fitted);
      expect(opened.tokenizer?.vocabSize).toBe(fitted);
      expect(opened.notices).toHaveLength(1);
    }
    await using opened = await open(tokens + 1, { fitVocabulary: true }, tokens + 1, extra);
    expect(opened.tokenizer!.encode("a<x>")).toEqual([1, tokens - 1, tokens]);
    expect(() => opened.tokenizer!.encode("a<y>")).toThrow(/token \d+, "<y>", for which the model has no row/);
  });

  test("an end token without a row is neither put behind texts nor waited for", async () => {
    const files = {
      "added_tokens.json": JSON.stringify({ "<end>": tokens }),
      "tokenizer_config.json": JSON.stringify({
        tokenizer_class: "LlamaTokenizer",
        eos_token: "<end>",
        add_eos_token: true,
      }),
    };
    await using whole = await open(tokens + 1, {}, tokens + 1, files);
    expect(whole.tokenizer!.encode("a").at(-1)).toBe(tokens);
    await using opened = await open(tokens, { fitVocabulary: true }, tokens, files);
    expect(opened.tokenizer).toMatchObject({ eos: undefined, addEos: false, addBos: true });
    expect(opened.text).toMatchObject({ addEos: false, addBos: true });
    expect(opened.text.ends.map(({ id }) => id)).not.toContain(tokens);
    expect(opened.tokenizer!.encode("a")).toEqual(whole.tokenizer!.encode("a").slice(0, -1));
  });

  test("a table of as many rows as tokens counts more than the configuration", async () => {
    const extra = { "added_tokens.json": JSON.stringify({ "<x>": tokens }) };
    await using opened = await open(tokens + 1, {}, tokens, extra);
    expect(opened.config.vocabSize).toBe(tokens + 1);
    expect(opened.notices).toEqual([expect.stringContaining("the table counts")]);
  });
});

test("the option helps for llama2.c files too; synthetic ones name the size in their address", async () => {
  const pieces = sentencePieceFromGguf(tinyMetadata([{ piece: "a", score: 0 }]));
  const tokens = tokenizerFromSentencePiece(pieces, "m").vocabSize;
  const config = { ...small, vocabSize: tokens + 1, tiedEmbeddings: true };
  const sizes = [config.dim, config.hiddenDim, config.layers, config.heads, config.kvHeads, tokens + 1, 32];
  const values = llamaGraph(config).weights.reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    32 * config.headDim,
  );
  const bytes = Buffer.concat([Buffer.from(new Int32Array(sizes).buffer), Buffer.alloc(4 * values)]);
  const folder = await folderWith({ "m.bin": bytes, "tokenizer.model": pieces });
  const tokenizer = join(folder, "tokenizer.model");
  const llama2c = join(folder, "m.bin");
  expect((await failure(openCheckpoint(llama2c, { tokenizer }))).message).toMatch(/set `fitVocabulary: true`/);
  for (const model of [llama2c, new Blob([bytes])]) {
    const given = typeof model === "string" ? tokenizer : new Blob([pieces]);
    await using opened = await openCheckpoint(model, { tokenizer: given, fitVocabulary: true });
    expect(opened.config.vocabSize).toBe(tokens);
  }
  const address = `synthetic://llama-2-7b?dim=64&heads=4&hidden=96&layers=1`;
  const { message } = await failure(openCheckpoint(`${address}&vocab=300`, { tokenizer }));
  expect(message).not.toContain("fitVocabulary");
  expect(message).toContain(`write vocab=${tokens} into the address`);
  await using opened = await openCheckpoint(`${address}&vocab=${tokens}`, { tokenizer });
  expect(opened.tokenizer?.vocabSize).toBe(tokens);
});
