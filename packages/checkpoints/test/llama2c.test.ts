import { CheckpointError, type LlamaConfig, llamaGraph } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import { memorySource, openCheckpoint, openLlama2c, readLlama2cHeader } from "../src/index.ts";
import { failure, folderWith, small } from "./support.ts";

/** Names in the order of llama2.c's export.py. */
const parts = {
  attention: ["attention.wq", "attention.wk", "attention.wv", "attention.wo"],
  feedForward: ["feed_forward.w1", "feed_forward.w2", "feed_forward.w3"],
};

function file(version: 0 | 1, config: LlamaConfig): { bytes: Uint8Array; values: Map<string, Float32Array> } {
  const layers = (part: string) => Array.from({ length: config.layers }, (_, i) => `layers.${i}.${part}.weight`);
  const output = config.tiedEmbeddings ? [] : ["output.weight"];
  const order =
    version === 0
      ? [
          "tok_embeddings.weight",
          ...layers("attention_norm"),
          ...parts.attention.flatMap(layers),
          ...layers("ffn_norm"),
          ...parts.feedForward.flatMap(layers),
          "norm.weight",
          "freq_cis",
          ...output,
        ]
      : [
          ...layers("attention_norm"),
          ...layers("ffn_norm"),
          "norm.weight",
          "tok_embeddings.weight",
          ...[...parts.attention, ...parts.feedForward].flatMap(layers),
          ...output,
        ];
  const shapes = new Map(llamaGraph(config).weights.map(({ name, shape }) => [name, shape]));
  shapes.set("freq_cis", [2 * config.contextLength * (config.headDim / 2)]);
  const values = new Map<string, Float32Array>();
  const header = new Int32Array(version === 0 ? 7 : 64);
  const sizes = [
    config.dim,
    config.hiddenDim,
    config.layers,
    config.heads,
    config.kvHeads,
    config.vocabSize,
    config.contextLength,
  ];
  if (version === 0) header.set(config.tiedEmbeddings ? sizes : sizes.map((size, i) => (i === 5 ? -size : size)));
  else header.set([0x616b3432, 1, ...sizes, config.tiedEmbeddings ? 1 : 0]);
  let next = 0;
  const data = order.map((name) => {
    const count = shapes.get(name)!.reduce((product, size) => product * size, 1);
    const tensor = Float32Array.from({ length: count }, () => next++);
    values.set(name, tensor);
    return new Uint8Array(tensor.buffer);
  });
  return { bytes: Buffer.concat([new Uint8Array(header.buffer), ...data]), values };
}

async function open(bytes: Uint8Array) {
  const source = memorySource("model.bin", bytes);
  return openLlama2c(source, await readLlama2cHeader(source), undefined);
}

describe("llama2.c", () => {
  test.each([
    [0, true],
    [0, false],
    [1, true],
    [1, false],
  ] as const)("version %i, tied %s: every tensor is where export.py puts it", async (version, tiedEmbeddings) => {
    const config = { ...small, tiedEmbeddings };
    const { bytes, values } = file(version, config);
    const checkpoint = await open(bytes);
    expect(checkpoint.config).toEqual(config);
    for (const [name] of checkpoint.weights) {
      const bytes = await checkpoint.read(name);
      expect(new Float32Array(bytes.buffer), name).toEqual(values.get(name));
    }
    expect(checkpoint.weights.has("output.weight")).toBe(!tiedEmbeddings);
  });

  test("truncated anywhere, or longer", async () => {
    for (const version of [0, 1] as const) {
      const { bytes } = file(version, small);
      for (const length of [0, 1, 4, 27, 28, 29, 255, 256, 257, bytes.length - 1]) {
        expect(await failure(open(bytes.subarray(0, length))), `${length}`).toBeInstanceOf(CheckpointError);
      }
      const longer = await failure(open(Buffer.concat([bytes, new Uint8Array(4)])));
      expect(longer.message).toMatch(new RegExp(`would have ${bytes.length} bytes, but it has ${bytes.length + 4}`));
    }
  });

  describe("version 2", () => {
    /** Version 1's file with its matrices in groups: the quants count up, and every scale is another one. */
    function quantized(groupSize: number): { bytes: Uint8Array; values: Map<string, Float32Array> } {
      const { bytes, values } = file(1, small);
      const header = bytes.slice(0, 256);
      const view = new DataView(header.buffer);
      view.setInt32(4, 2, true);
      view.setInt32(37, groupSize, true);
      let scales = 0;
      const pieces = [...values].map(([name, floats]) => {
        if (/norm/.test(name)) return new Uint8Array(floats.buffer);
        const quants = Int8Array.from(floats, (_, i) => i % 255);
        const scale = Float32Array.from({ length: floats.length / groupSize }, () => 1 / ++scales);
        values.set(
          name,
          Float32Array.from(quants, (quant, i) => quant * scale[Math.floor(i / groupSize)]!),
        );
        return Buffer.concat([new Uint8Array(quants.buffer), new Uint8Array(scale.buffer)]);
      });
      return { bytes: Buffer.concat([header, ...pieces]), values };
    }

    test.each([8, 32, 96])("groups of %i, also across rows, are read as their products", async (groupSize) => {
      const { bytes, values } = quantized(groupSize);
      const checkpoint = await open(bytes);
      for (const [name, { shape, format }] of checkpoint.weights) {
        expect(format).toBe("f32");
        expect(new Float32Array((await checkpoint.read(name)).buffer), name).toEqual(values.get(name));
        if (shape.length === 1) continue;
        const rows = await checkpoint.read(name, { rows: { first: 3, count: 5 } });
        expect(new Float32Array(rows.buffer), name).toEqual(values.get(name)!.subarray(3 * shape[1]!, 8 * shape[1]!));
      }
      expect(checkpoint.stored.find(({ name }) => name === "output.weight")?.format).toBe(
        `int8, groups of ${groupSize}`,
      );
    });

    test("damaged", async () => {
      expect((await failure(open(quantized(96).bytes.subarray(0, -1)))).message).toMatch(/would have \d+ bytes/);
      const groups = (size: number) => {
        const { bytes } = quantized(96);
        new DataView(bytes.buffer, bytes.byteOffset).setInt32(37, size, true);
        return failure(open(bytes));
      };
      expect((await groups(0)).message).toMatch(/its group size is 0/);
      expect((await groups(7)).message).toMatch(/384 elements are no whole groups of 7/);
    });

    test("later versions are refused with a way out", async () => {
      const bytes = new Uint8Array(new Int32Array([0x616b3432, 3, ...new Array(62).fill(1)]).buffer);
      expect((await failure(open(bytes))).message).toMatch(/version 3 of llama2\.c's format\. Versions 0, 1 and 2/);
    });
  });

  test("absurd sizes", async () => {
    const bytes = new Uint8Array(new Int32Array([2 ** 30, 2 ** 30, 2 ** 30, 1, 1, 2 ** 30, 2 ** 30]).buffer);
    expect((await failure(open(bytes))).code).toBe("ERR_CONFIG");
    const large = new Uint8Array(new Int32Array([2 ** 20, 2 ** 20, 4096, 64, 64, 2 ** 20, 2 ** 20]).buffer);
    expect(await failure(open(large))).toBeInstanceOf(CheckpointError);
  });
});

describe("what a file is", () => {
  const cases: readonly [string, string | Uint8Array, RegExp][] = [
    ["nothing", "", /the file is empty/],
    ["text", "Once upon a time, there was a little girl.", /no checkpoint that is known here/],
    [
      "a zip file",
      "PK\u0003\u0004 and so on, for some more bytes to look at",
      /its directory cannot be read \(End of central directory not found\)/,
    ],
    ["an old ggml file", "tjgg and so on, for some more bytes to look at", /from before GGUF/],
    ["a pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", /git lfs pull/],
    ["a web page", "<!DOCTYPE html><html></html>", /a web page/],
    ["JSON", '{"weight_map": {}}', /a JSON file/],
    ["JSON with a brace in ninth place", '{"a":123,{', /.+/],
    ["zeros", new Uint8Array(4096), /a file of zeros/],
  ];
  test.each(cases)("%s is refused", async (_, content, message) => {
    const folder = await folderWith({ "model.gguf": content });
    const error = await failure(openCheckpoint(`${folder}/model.gguf`));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
  });

  test("its name does not matter", async () => {
    const folder = await folderWith({ "model.gguf": file(0, small).bytes });
    await using checkpoint = await openCheckpoint(`${folder}/model.gguf`);
    expect(checkpoint.kind).toBe("llama2.c");
    expect(checkpoint.tokenizer).toBeUndefined();
  });

  test("a missing file, an unknown option and an abort", async () => {
    const missing = await failure(openCheckpoint("/no/such/file.gguf"));
    expect(missing.message).toBe("/no/such/file.gguf: there is no such file. Check the path.");
    const options = { tokeniser: "x" } as object;
    expect((await failure(openCheckpoint("x", options))).code).toBe("ERR_OPTION");
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(openCheckpoint("x", { signal })).rejects.toThrow("stop");
  });
});

describeWithShared("stories260K.bin", () => {
  test("its tokenizer is found beside it", async () => {
    await using checkpoint = await openCheckpoint(shared("weights/stories260K.bin"));
    expect(checkpoint.tokenizer?.vocabSize).toBe(512);
    expect(checkpoint.tokenizer?.decode(checkpoint.tokenizer.encode("Lily likes cats"))).toContain("Lily likes cats");
  });
});
