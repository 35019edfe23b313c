import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, columnCount, type LlamaConfig, llamaGraph, rowCount } from "@polyllama/core";
import { formats, numberToBf16, numberToF16 } from "@polyllama/formats";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import { memorySource, openCheckpoint, readSafetensorsHeader, writeGguf } from "../src/index.ts";
import {
  coordinates,
  failure,
  folderWith,
  huggingFaceConfig,
  huggingFaceTensors,
  type RawTensor,
  safetensors,
  small,
  withHeader,
} from "./support.ts";

const configJson = (config: LlamaConfig, edit: Record<string, unknown> = {}) =>
  JSON.stringify({ ...huggingFaceConfig(config), ...edit });

async function opened(
  tensors: readonly RawTensor[],
  config: LlamaConfig = small,
  edit: Record<string, unknown> = {},
): Promise<string> {
  return folderWith({ "config.json": configJson(config, edit), "model.safetensors": safetensors(tensors) });
}

describe("reading", () => {
  test("every row of every tensor stands where the canonical order has it, read whole and in ranges", async () => {
    await using checkpoint = await openCheckpoint(await opened(huggingFaceTensors(small)));
    expect(checkpoint.kind).toBe("safetensors");
    expect(checkpoint.config).toEqual(small);
    expect(checkpoint.tokenizer).toBeUndefined();
    for (const [index, { name, shape }] of llamaGraph(small).weights.entries()) {
      const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
      const expected = Buffer.concat(
        Array.from({ length: rows }, (_, row) => new Uint8Array(coordinates(index, row, columns).buffer)),
      );
      expect(Buffer.compare(await checkpoint.read(name), expected), name).toBe(0);
      for (let first = 0; first < rows; first += 3) {
        const count = Math.min(5, rows - first);
        const part = await checkpoint.read(name, { rows: { first, count } });
        expect(Buffer.compare(part, expected.subarray(first * columns * 4, (first + count) * columns * 4))).toBe(0);
      }
    }
  });

  test("several files with an index are one checkpoint; a missing one is named", async () => {
    const tensors = huggingFaceTensors(small);
    const shards = {
      "a-00001-of-00002.safetensors": tensors.slice(0, 9),
      "a-00002-of-00002.safetensors": tensors.slice(9),
    };
    const map = Object.entries(shards).flatMap(([file, list]) => list.map(({ name }) => [name, file]));
    const index = JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(map) });
    const base = { "config.json": configJson(small), "model.safetensors.index.json": index };
    const [first, second] = Object.entries(shards).map(([file, list]) => ({ [file]: safetensors(list) }));

    const folder = await folderWith({ ...base, ...first, ...second });
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.weights.size).toBe(tensors.length);
    expect(new Set(checkpoint.stored.map(({ file }) => file)).size).toBe(2);
    expect(await checkpoint.fingerprint()).toMatch(/^[0-9a-f]{64}$/);
    const one = await failure(openCheckpoint(join(folder, "a-00001-of-00002.safetensors")));
    expect(one.message).toMatch(/one of the 2 files of a checkpoint\. Give the folder: /);

    const missing = await failure(openCheckpoint(await folderWith({ ...base, ...first })));
    expect(missing).toBeInstanceOf(CheckpointError);
    expect(missing.message).toMatch(/a-00002-of-00002\.safetensors: this file is missing/);

    const twice = safetensors([...shards["a-00002-of-00002.safetensors"], tensors[0]!]);
    const mixed = await folderWith({ ...base, ...first, "a-00002-of-00002.safetensors": twice });
    expect((await failure(openCheckpoint(mixed))).message).toMatch(/has a tensor of the same name/);

    const lying = index.replace('"lm_head.weight":"a-00002', '"lm_head.weight":"a-00001');
    const wrong = await folderWith({ ...base, ...first, ...second, "model.safetensors.index.json": lying });
    expect((await failure(openCheckpoint(wrong))).message).toMatch(/"lm_head.weight": the index places it in "a-00001/);

    for (const bad of ["../model.safetensors", "/etc/passwd", "..", "a\\b"]) {
      const escaping = JSON.stringify({ weight_map: { "lm_head.weight": bad } });
      const folder = await folderWith({ ...base, "model.safetensors.index.json": escaping });
      expect((await failure(openCheckpoint(folder))).message).toMatch(/is not the name of a file beside the index/);
    }
  });

  test("tied embeddings: declared, or the output matrix is missing and nothing is declared", async () => {
    const tensors = huggingFaceTensors(small);
    const without = tensors.filter(({ name }) => name !== "lm_head.weight");
    await using declared = await openCheckpoint(await opened(without, small, { tie_word_embeddings: true }));
    expect(declared.config.tiedEmbeddings).toBe(true);
    await using undeclared = await openCheckpoint(await opened(without, small, { tie_word_embeddings: undefined }));
    expect(undeclared.config.tiedEmbeddings).toBe(true);
    await using stored = await openCheckpoint(await opened(tensors, small, { tie_word_embeddings: true }));
    expect(stored.weights.has("output.weight")).toBe(false);
    const head = tensors.filter(({ name }) => name !== "model.embed_tokens.weight");
    await using underOther = await openCheckpoint(await opened(head, small, { tie_word_embeddings: true }));
    const table = tensors.find(({ name }) => name === "lm_head.weight");
    expect(await underOther.read("tok_embeddings.weight")).toEqual(table?.bytes);
    const error = await failure(openCheckpoint(await opened(without)));
    expect(error.message).toMatch(/tensor "lm_head.weight": this tensor \(output.weight\) is missing/);
  });

  test("rotary tables of old files are passed over, whatever their dtype", async () => {
    const table = {
      name: "model.layers.0.self_attn.rotary_emb.inv_freq",
      dtype: "F64",
      shape: [3],
      bytes: new Uint8Array(24),
    };
    await using checkpoint = await openCheckpoint(await opened([...huggingFaceTensors(small), table]));
    expect(checkpoint.stored.at(-1)).toMatchObject({ name: table.name, format: "f64", bytes: 24 });
    expect(checkpoint.weights.size).toBe(checkpoint.stored.length - 1);
  });

  test("a single file finds its configuration beside it", async () => {
    const folder = await opened(huggingFaceTensors(small));
    await using checkpoint = await openCheckpoint(join(folder, "model.safetensors"));
    expect(checkpoint.config).toEqual(small);
  });
});

describe("what changes nothing", () => {
  test("tensors in any order and of mixed formats", async () => {
    const mixed = huggingFaceTensors(small)
      .reverse()
      .map((tensor, index): RawTensor => {
        const floats = new Float32Array(Uint8Array.from(tensor.bytes).buffer).map((value) => value % 128);
        if (index % 3 === 0) return { ...tensor, bytes: new Uint8Array(floats.buffer) };
        const [dtype, encode] = index % 3 === 1 ? (["F16", numberToF16] as const) : (["BF16", numberToBf16] as const);
        return { ...tensor, dtype, bytes: new Uint8Array(Uint16Array.from(floats, encode).buffer) };
      });
    await using checkpoint = await openCheckpoint(await opened(mixed));
    const found = new Set<string>();
    for (const [name, info] of checkpoint.weights) {
      found.add(info.format);
      const columns = columnCount(info);
      const tensor = [...checkpoint.weights.keys()].indexOf(name);
      for (const row of [0, rowCount(info) - 1]) {
        const values = new Float32Array(columns);
        formats[info.format].dequantize(await checkpoint.read(name, { rows: { first: row, count: 1 } }), values);
        expect(values, name).toEqual(coordinates(tensor, row, columns).map((value) => value % 128));
      }
    }
    expect([...found].sort()).toEqual(["bf16", "f16", "f32"]);
  });

  test("biases of zero, whatever the configuration declares; others are refused by the field", async () => {
    const bias = (values: readonly number[]): RawTensor => ({
      name: "model.layers.0.self_attn.q_proj.bias",
      dtype: "F32",
      shape: [values.length],
      bytes: new Uint8Array(Float32Array.from(values).buffer),
    });
    const open = async (values: readonly number[]) => {
      const config = JSON.stringify({ ...huggingFaceConfig(small), attention_bias: true });
      const all = [...huggingFaceTensors(small), bias(values)];
      return openCheckpoint(await folderWith({ "config.json": config, "model.safetensors": safetensors(all) }));
    };
    await (await open(new Array(24).fill(0)))[Symbol.asyncDispose]();
    expect((await failure(open([...new Array(23).fill(0), 1e-20]))).message).toMatch(
      /q_proj\.bias": this bias is not zero \(attention_bias or mlp_bias\)/,
    );
  });
});

describe("what stands around the tensors", () => {
  const tensors = huggingFaceTensors(small);
  const long = `${'\\"{[,'.repeat(1e5)}${"x".repeat(12e6)}`;

  test.each<[string, Parameters<typeof safetensors>[1]]>([
    ["null", (h) => ({ ...h, __metadata__: null })],
    ["nothing", (h) => ({ ...h, __metadata__: undefined })],
    ["an empty object", (h) => ({ ...h, __metadata__: {} })],
    ["12 MB of text, with brackets and quotes", (h) => ({ ...h, __metadata__: { long } })],
    ["a name that a tensor has too", (h) => ({ ...h, __metadata__: { "lm_head.weight": "x" } })],
    [
      "spaces and fields for other readers",
      (h) =>
        `${JSON.stringify({ ...h, "model.norm.weight": { ...h["model.norm.weight"], more: [1] } }, undefined, 3)}\n  `,
    ],
  ])("__metadata__ with %s", async (_, edit) => {
    const file = memorySource("m", safetensors(tensors, edit));
    expect((await readSafetensorsHeader(file)).tensors.map(({ name }) => name)).toEqual(
      tensors.map(({ name }) => name),
    );
  });

  test("tensors without elements, and of no dimension", async () => {
    const odd = ["a.rotary_emb.inv_freq", "b.rotary_emb.inv_freq"].map((name, i) => ({
      name,
      dtype: "F32",
      shape: i === 0 ? [0] : [],
      bytes: new Uint8Array(4 * i),
    }));
    await using checkpoint = await openCheckpoint(await opened([...odd, ...tensors]));
    expect(checkpoint.stored.slice(0, 2).map(({ shape }) => shape)).toEqual([[0], []]);
  });
});

describe("bad files", () => {
  const tensors = huggingFaceTensors(small);
  const first = tensors[0]!;
  const bytes = (edit: Parameters<typeof safetensors>[1]) => safetensors(tensors, edit);
  const entryOf = (header: Record<string, Record<string, unknown>>, name = first.name) => header[name]!;
  const cases: readonly [string, Uint8Array, RegExp][] = [
    [
      "an absurd header length",
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x10, 0x7b, 0x7d]),
      /declared to have 1152921504606846976/,
    ],
    ["a header past the end", Buffer.from([200, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]), /declared to have 200 bytes, but/],
    ["no JSON", withHeader('{"a":'), /this is not JSON/],
    ["an entry that is no object", bytes((h) => ({ ...h, x: 3 })), /"x": its entry is not a JSON object/],
    ["no dtype", bytes((h) => ({ ...h, [first.name]: { ...entryOf(h), dtype: 3 } })), /lacks a proper dtype/],
    ["a negative size", bytes((h) => ({ ...h, [first.name]: { ...entryOf(h), shape: [-1, 4] } })), /lacks a proper/],
    [
      "nine sizes",
      bytes((h) => ({
        ...h,
        [first.name]: { ...entryOf(h), shape: [...first.shape, ...Array(9 - first.shape.length).fill(1)] },
      })),
      /lacks a proper/,
    ],
    ["a fraction", bytes((h) => ({ ...h, [first.name]: { ...entryOf(h), shape: [1.5, 4] } })), /lacks a proper/],
    [
      "a shape for other bytes",
      bytes((h) => ({ ...h, [first.name]: { ...entryOf(h), shape: [2 ** 50, 8] } })),
      /does not fit/,
    ],
    [
      "three offsets",
      bytes((h) => ({ ...h, [first.name]: { ...entryOf(h), data_offsets: [0, 1, 2] } })),
      /lacks a proper/,
    ],
    [
      "an end before the beginning",
      bytes((h) => ({ ...h, [first.name]: { ...entryOf(h), data_offsets: [64, 0] } })),
      /does not fit its -64 bytes/,
    ],
    [
      "out of range",
      bytes((h) => ({ ...h, far: { dtype: "U8", shape: [8], data_offsets: [1e6, 1e6 + 8] } })),
      /"far": it ends at byte/,
    ],
    [
      "overlap",
      bytes((h) => ({ ...h, on: { dtype: "U8", shape: [8], data_offsets: [4, 12] } })),
      /"on": it shares bytes with "model.embed_tokens.weight"/,
    ],
    ["a gap", Buffer.concat([safetensors(tensors), new Uint8Array(7)]), /7 bytes of the file belong to no tensor/],
    [
      "a name twice",
      bytes((h) =>
        JSON.stringify(h).replace("{", `{"lm_head.weight":${JSON.stringify(entryOf(h, "lm_head.weight"))},`),
      ),
      /"lm_head.weight": two tensors have this name/,
    ],
    [
      "an unknown dtype",
      safetensors([{ ...first, dtype: "F4" }, ...tensors.slice(1)]),
      /it is stored as F4\. Read here: F32/,
    ],
    ["float8", safetensors([{ ...first, dtype: "I32" }, ...tensors.slice(1)]), /it is stored as I32/],
    [
      "an unknown tensor",
      safetensors([
        ...tensors,
        { name: "model.layers.0.self_attn.q_proj.scale", dtype: "U8", shape: [1], bytes: new Uint8Array(1) },
      ]),
      /q_proj\.scale": Llama 2 has no such tensor/,
    ],
    ...["    ", " ".repeat(70), "\t\n\r ".repeat(1000), ""].map((space): (typeof cases)[number] => [
      `a name twice, with ${space.length} spaces before its colon`,
      bytes((h) =>
        JSON.stringify(h).replace(
          "{",
          () => `{"lm_head.weight"${space}:${JSON.stringify(entryOf(h, "lm_head.weight"))},`,
        ),
      ),
      /"lm_head.weight": two tensors have this name/,
    ]),
    [
      "a name twice, once with an escape",
      bytes((h) =>
        JSON.stringify(h).replace(
          "{",
          () => `{"lm_he\\u0061d.weight":${JSON.stringify(entryOf(h, "lm_head.weight"))},`,
        ),
      ),
      /"lm_head.weight": two tensors have this name/,
    ],
    [
      "nested beyond all reason",
      bytes((h) => JSON.stringify(h).replace("{", `{"x":${"[".repeat(2e5)}${"]".repeat(2e5)},`)),
      /nested more than 128 deep/,
    ],
    ["a missing tensor", safetensors(tensors.slice(1)), /"model.embed_tokens.weight": this tensor .* is missing/],
    [
      "a shape against the configuration",
      safetensors([{ ...first, shape: [24, 16] }, ...tensors.slice(1)]),
      /shape is \[24,16\]/,
    ],
  ];
  test.each(cases)("%s", async (_, content, message) => {
    const folder = await folderWith({ "config.json": configJson(small), "model.safetensors": content });
    const error = await failure(openCheckpoint(folder));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
  });

  test("a configuration for another vocabulary names both numbers", async () => {
    const error = await failure(openCheckpoint(await opened(tensors, { ...small, vocabSize: 20 })));
    expect(error.message).toMatch(/"model.embed_tokens.weight": it has 16 rows, but the configuration .* of 20/);
  });

  test("fewer declared layers than stored", async () => {
    const error = await failure(openCheckpoint(await opened(tensors, { ...small, layers: 1 })));
    expect(error.message).toMatch(/"model.layers.1.+": a Llama of 1 layers has no such tensor/);
  });

  test("no configuration, damaged configuration", async () => {
    const alone = await folderWith({ "model.safetensors": safetensors(tensors) });
    expect((await failure(openCheckpoint(alone))).message).toMatch(/config\.json: this file is missing/);
    const damaged = await folderWith({ "model.safetensors": safetensors(tensors), "config.json": "{" });
    expect((await failure(openCheckpoint(damaged))).message).toMatch(/config\.json: this is not JSON/);
    const config = configJson(small).replace("{", `{"x":${"[".repeat(2e5)}${"]".repeat(2e5)},`);
    const nested = await folderWith({ "model.safetensors": safetensors(tensors), "config.json": config });
    const error = await failure(openCheckpoint(nested));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(/config\.json: .*nested more than 128 deep/);
  });

  test("truncated at every byte of the header, and within the data", async () => {
    const whole = safetensors(tensors.slice(0, 2));
    const { headerBytes } = await readSafetensorsHeader(memorySource("whole", whole));
    for (let length = 0; length <= headerBytes + 1; length++) {
      const error = await failure(readSafetensorsHeader(memorySource("cut", whole.subarray(0, length))));
      expect(error, `${length}`).toBeInstanceOf(CheckpointError);
    }
    const cut = whole.subarray(0, whole.length - 1);
    expect((await failure(readSafetensorsHeader(memorySource("cut", cut)))).message).toMatch(/it ends at byte/);
  });
});

describe("folders", () => {
  test("what is not a checkpoint is explained", async () => {
    const empty = await failure(openCheckpoint(await folderWith()));
    expect(empty.message).toMatch(
      /no model\.safetensors, pytorch_model\.bin, index of either, or consolidated\.00\.pth/,
    );
    const gguf = await failure(openCheckpoint(await folderWith({ "a.gguf": "GGUF" })));
    expect(gguf.message).toMatch(/a\.gguf: the version: the file's header ends early/);
  });
});

describeWithShared("real checkpoints", () => {
  test("TinyStories-656K opens with its configuration and tokenizer", async () => {
    await using checkpoint = await openCheckpoint(shared("weights/TinyStories-656K"));
    expect(checkpoint.config).toEqual({
      dim: 128,
      layers: 2,
      heads: 8,
      kvHeads: 4,
      headDim: 16,
      hiddenDim: 384,
      vocabSize: 2048,
      contextLength: 512,
      normEps: 1e-6,
      ropeTheta: 10000,
      ropeScaling: { type: "none" },
      tiedEmbeddings: true,
    });
    expect(checkpoint.tokenizer?.vocabSize).toBe(2048);
    expect(checkpoint.tokenizer?.decode(checkpoint.tokenizer.encode("Once upon a time"))).toContain("Once upon a time");
    expect(checkpoint.metadata.get("format")).toBe("pt");
    expect(await checkpoint.read("tok_embeddings.weight")).toHaveLength(2048 * 128 * 4);
  });

  test("poet opens with its configuration and tokenizer, and goes through GGUF with both", async () => {
    await using checkpoint = await openCheckpoint(shared("weights/poet"));
    expect(checkpoint.config).toMatchObject({
      dim: 192,
      layers: 6,
      heads: 6,
      kvHeads: 2,
      hiddenDim: 512,
      tiedEmbeddings: true,
    });
    expect(checkpoint.tokenizer?.vocabSize).toBe(6144);
    expect(checkpoint.weights.get("norm.weight")?.format).toBe("f16");

    const path = join(await folderWith(), "poet.gguf");
    await writeGguf(path, checkpoint);
    await using copy = await openCheckpoint(path);
    expect(copy.config).toEqual(checkpoint.config);
    for (const [name, { shape }] of checkpoint.weights) {
      if (shape.length === 1) continue;
      expect(Buffer.compare(await checkpoint.read(name), await copy.read(name)), name).toBe(0);
    }
    const lines = (await readFile(shared("corpora/zh/chinese-poetry-quantangshi.txt"), "utf8"))
      .split("\n")
      .slice(0, 200);
    const english = (await readFile(shared("corpora/en/just-so-stories.txt"), "utf8")).split("\n").slice(100, 300);
    for (const line of [...lines, ...english, "a  b\tc", " x"]) {
      expect(copy.tokenizer?.encode(line), line).toEqual(checkpoint.tokenizer?.encode(line));
    }
  });

  test("a merged vocabulary keeps its scores in GGUF", async () => {
    const config = { ...small, vocabSize: 55296 };
    const path = join(await folderWith(), "merged.gguf");
    const folder = await folderWith({
      "config.json": configJson(config),
      "model.safetensors": safetensors(huggingFaceTensors(config)),
      "tokenizer.model": await readFile(shared("tokenizers/chinese-llama-2.model")),
    });
    await using source = await openCheckpoint(folder);
    await writeGguf(path, source);
    await using copy = await openCheckpoint(path);
    for (const text of ["床前明月光,疑是地上霜。", "人工智能 and machine learning", "  two  spaces"]) {
      expect(copy.tokenizer?.encode(text)).toEqual(source.tokenizer?.encode(text));
    }
  });

  test("tokenizer.model goes before tokenizer.json, unless only the other fits", async () => {
    const base = shared("weights/TinyStories-656K");
    const folder = await folderWith({
      "config.json": await readFile(join(base, "config.json")),
      "model.safetensors": await readFile(join(base, "model.safetensors")),
      "tokenizer.json": await readFile(join(base, "tokenizer.json")),
      "tokenizer.model": await readFile(shared("weights/poet/tokenizer.model")),
    });
    await using fits = await openCheckpoint(folder);
    expect(fits.tokenizer?.vocabSize).toBe(2048);
    const poet = await folderWith({
      "config.json": await readFile(shared("weights/poet/config.json")),
      "model.safetensors": await readFile(shared("weights/poet/model.safetensors")),
      "tokenizer.json": "not even JSON",
      "tokenizer.model": await readFile(shared("weights/poet/tokenizer.model")),
    });
    await using preferred = await openCheckpoint(poet);
    expect(preferred.tokenizer?.vocabSize).toBe(6144);
    const other = await folderWith({
      "config.json": await readFile(join(base, "config.json")),
      "model.safetensors": await readFile(join(base, "model.safetensors")),
      "tokenizer.model": await readFile(shared("weights/poet/tokenizer.model")),
    });
    expect((await failure(openCheckpoint(other))).message).toMatch(/tokenizer has 6144 tokens, .* 2048 rows/);
  });
});
