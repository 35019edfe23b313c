import { createHash } from "node:crypto";
import { columnCount, llamaGraph, parameterCount, presets, rowCount } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { describe, expect, test } from "vitest";
import { openCheckpoint, openSynthetic } from "../src/index.ts";
import { failure } from "./support.ts";

const tiny = "synthetic://llama-2-7b?dim=256&heads=4&kv_heads=2&hidden=512&layers=2&vocab=320&context=64";

async function valuesOf(url: string, name: string): Promise<Float32Array> {
  const checkpoint = openSynthetic(url);
  const info = checkpoint.weights.get(name)!;
  const values = new Float32Array(rowCount(info) * columnCount(info));
  formats[info.format].dequantize(await checkpoint.read(name), values);
  return values;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

describe("synthetic://", () => {
  test.each([
    ["llama-2-7b", 6_738_415_616],
    ["llama-2-13b", 13_015_864_320],
    ["llama-2-70b", 68_976_648_192],
  ] as const)("%s has %i parameters", async (preset, parameters) => {
    await using checkpoint = await openCheckpoint(`synthetic://${preset}`);
    expect(checkpoint.config).toEqual(presets[preset]);
    expect(parameterCount(checkpoint.config)).toBe(parameters);
    const elements = checkpoint.stored.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(elements).toBe(parameters);
    expect([...checkpoint.weights.keys()]).toEqual(llamaGraph(checkpoint.config).weights.map(({ name }) => name));
  });

  test("the same URL gives the same bytes anywhere and always", async () => {
    const digests: Record<string, string> = {};
    for (const format of Object.keys(formats)) {
      digests[format] = digest(await openSynthetic(`${tiny}&format=${format}`).read("layers.1.attention.wk.weight"));
    }
    digests["norm"] = digest(await openSynthetic(tiny).read("norm.weight"));
    expect(digests).toMatchInlineSnapshot(`
      {
        "bf16": "88a328b85001f483",
        "f16": "d24a0b8e6bdd7993",
        "f32": "6e9f279ff52a3486",
        "iq4_nl": "5a3f891622eae818",
        "norm": "aeb5d8d938ff015f",
        "q2_k": "0cba4f5e616d07c9",
        "q3_k": "94153ce5bce4c913",
        "q4_0": "b68d08260965594a",
        "q4_1": "929c7fcd8eb77295",
        "q4_k": "2e778056faaefdda",
        "q5_0": "9db09e2e4014956b",
        "q5_1": "42074bed2ee9b49b",
        "q5_k": "9dd21eaf34d589bc",
        "q6_k": "8d442454004c6c7d",
        "q8_0": "6bbb9ebb97dcbcde",
        "q8_k": "b0478c8c766ad128",
      }
    `);
  });

  test.each(Object.keys(formats))("%s: rows do not depend on the range", async (format) => {
    const checkpoint = openSynthetic(`${tiny}&format=${format}`);
    const name = "layers.0.feed_forward.w2.weight";
    const all = await checkpoint.read(name);
    const rowBytes = all.length / 256;
    expect(await checkpoint.read(name, { rows: { first: 100, count: 7 } })).toEqual(
      all.slice(100 * rowBytes, 107 * rowBytes),
    );
  });

  test.each(Object.keys(formats))(
    "%s: finite, no mean, variance 1 / columns, and differing block scales",
    async (format) => {
      const name = "layers.0.feed_forward.w2.weight"; // [256, 512]
      const values = await valuesOf(`${tiny}&format=${format}`, name);
      expect(values.every(Number.isFinite)).toBe(true);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const gain = Math.sqrt((values.reduce((sum, value) => sum + value * value, 0) / values.length) * 512);
      expect(Math.abs(mean) * Math.sqrt(512)).toBeLessThan(6 / Math.sqrt(values.length)); // standard errors
      expect(gain).toBeGreaterThan(0.9);
      expect(gain).toBeLessThan(1.1);
      const { blockSize, findNonFinite } = formats[format as "f32"];
      expect(findNonFinite(await openSynthetic(`${tiny}&format=${format}`).read(name))).toBe(-1);
      const largest = new Set<number>();
      for (let i = 0; i < values.length; i += Math.max(blockSize, 32)) {
        largest.add(Math.max(...values.subarray(i, i + Math.max(blockSize, 32)).map(Math.abs)));
      }
      expect(largest.size).toBeGreaterThan(50);
    },
  );

  test("seed, tensor and layer all matter", async () => {
    const read = (url: string, name: string) => openSynthetic(url).read(name, { rows: { first: 0, count: 1 } });
    const rows = await Promise.all([
      read(tiny, "layers.0.attention.wq.weight"),
      read(`${tiny}&seed=2`, "layers.0.attention.wq.weight"),
      read(tiny, "layers.1.attention.wq.weight"),
      read(tiny, "layers.0.attention.wo.weight"),
    ]);
    expect(new Set(rows.map(digest)).size).toBe(4);
  });

  test("rows of one matrix are not alike", async () => {
    const values = await valuesOf(`${tiny}&format=q4_0`, "layers.0.attention.wq.weight"); // [256, 256]
    for (const [a, b] of [
      [0, 1],
      [3, 200],
      [17, 18],
    ] as const) {
      const dot = values.subarray(a * 256, a * 256 + 256).reduce((sum, x, i) => sum + x * values[b * 256 + i]!, 0);
      expect(Math.abs(dot)).toBeLessThan(0.3); // of rows of length 1; five standard deviations
    }
  });

  test("norms lie near 1", async () => {
    const values = await valuesOf(tiny, "layers.0.ffn_norm.weight");
    expect(values.every((value) => value > 0.96 && value < 1.07)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(250);
  });

  test("Q8_0 has no quant of -128", async () => {
    const checkpoint = openSynthetic(`${tiny}&format=q8_0`);
    const bytes = await checkpoint.read("layers.0.feed_forward.w1.weight");
    let least = 0;
    for (let block = 0; block < bytes.length; block += 34)
      for (let i = 2; i < 34; i++) least = Math.min(least, (bytes[block + i]! << 24) >> 24);
    expect(least).toBe(-127);
  });

  test("q4_k_m mixes as llama.cpp does", () => {
    const { weights } = openSynthetic("synthetic://llama-2-7b?format=q4_k_m");
    const sixth = Array.from({ length: 32 }, (_, layer) => layer).filter(
      (layer) => weights.get(`layers.${layer}.feed_forward.w2.weight`)?.format === "q6_k",
    );
    expect(sixth).toEqual([0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]); // as in the files of 7B
    expect(weights.get("layers.3.attention.wv.weight")?.format).toBe("q6_k");
    expect(weights.get("layers.3.attention.wq.weight")?.format).toBe("q4_k");
    expect(weights.get("output.weight")?.format).toBe("q6_k");
    expect(weights.get("tok_embeddings.weight")?.format).toBe("q4_k");
    expect(weights.get("norm.weight")?.format).toBe("f32");
  });

  test("every text can be encoded and comes back", () => {
    const { tokenizer } = openSynthetic("synthetic://tinyllama-1.1b?layers=1");
    expect(tokenizer?.vocabSize).toBe(32000);
    const pieces = new Set(Array.from({ length: 32000 }, (_, id) => tokenizer?.piece(id)));
    expect(pieces.size).toBe(32000);
    for (const text of ["", "hello world", "床前明月光", "a\n\tb  c \u{1f999}", "</s><s>"]) {
      expect(tokenizer?.decode(tokenizer.encode(text))).toBe(text);
    }
    expect(tokenizer?.encode("eta", { bos: false }).length).toBeLessThan(4); // pieces longer than a letter are reached
    expect(openSynthetic("synthetic://llama-2-7b?vocab=258").tokenizer).toBeUndefined();
    expect(
      openSynthetic("synthetic://llama-2-7b?vocab=259").tokenizer?.decode([...Buffer.from("é")].map((b) => b + 3)),
    ).toBe("é");
  });

  test("the name and fingerprint are the same for the same weights", async () => {
    const a = openSynthetic("synthetic://llama-2-7b?layers=32&format=q4_0&context=64");
    const b = openSynthetic("synthetic://llama-2-7b/?context=64&seed=1");
    expect(a.name).toBe("synthetic://llama-2-7b?format=q4_0&seed=1&context=64");
    expect(await a.fingerprint()).toBe(await b.fingerprint());
    expect(await openSynthetic("synthetic://llama-2-7b?seed=2").fingerprint()).not.toBe(await a.fingerprint());
    expect(openSynthetic(a.name).config).toEqual(a.config);
  });

  test.each([
    ["synthetic://llama-3-8b", "ERR_OPTION", /no preset "llama-3-8b"\. Known presets: llama-2-7b/],
    ["synthetic:llama-2-7b", "ERR_OPTION", /no preset ""/],
    ["synthetic://toString", "ERR_OPTION", /no preset/],
    ["synthetic://llama-2-7b?sede=1", "ERR_OPTION", /unknown parameter "sede"\. Known parameters: seed, format/],
    ["synthetic://llama-2-7b?seed=1&seed=2", "ERR_OPTION", /seed is given twice/],
    ["synthetic://llama-2-7b?seed=-1", "ERR_OPTION", /seed is "-1"/],
    ["synthetic://llama-2-7b?seed=4294967296", "ERR_OPTION", /from 0 to 4294967295/],
    ["synthetic://llama-2-7b?layers=two", "ERR_OPTION", /layers is "two"/],
    ["synthetic://llama-2-7b?layers=0", "ERR_CONFIG", /layers is 0/],
    ["synthetic://llama-2-7b?format=q9_k", "ERR_OPTION", /no format "q9_k"\. Known formats: f32, f16/],
    ["synthetic://llama-2-7b?tied=yes", "ERR_OPTION", /tied is "yes"/],
    ["synthetic://llama-2-7b?dim=96&heads=4&format=q4_k", "ERR_CONFIG", /rows of 96 .* not whole blocks of 256/],
    ["synthetic://llama-2-7b?heads=5", "ERR_CONFIG", /headDim is 819\.2/],
  ])("%s is refused", async (url, code, message) => {
    const error = await failure(openCheckpoint(url));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test("reading gives way to the event loop and can be aborted", async () => {
    const checkpoint = openSynthetic("synthetic://llama-2-7b?layers=1");
    const controller = new AbortController();
    const reading = checkpoint.read("tok_embeddings.weight", undefined, controller.signal);
    setTimeout(() => controller.abort(new Error("stop")), 1);
    await expect(reading).rejects.toThrow("stop");
  });
});

test("options that would do nothing are refused", async () => {
  const hub = { offline: true };
  await expect(openCheckpoint(tiny, { hub })).rejects.toMatchObject({ code: "ERR_OPTION" });
  await expect(openCheckpoint(new Blob(), { hub })).rejects.toThrow(/^hub is for checkpoints on the hub/);
  await expect(openCheckpoint("https://localhost/a.gguf", { hub })).rejects.toThrow(/^hub is for/);
  await expect(openCheckpoint(tiny, { keep: true })).rejects.toThrow(/^keep is for checkpoints behind a URL/);
  await expect(openCheckpoint(tiny, { sha256: "0" })).rejects.toThrow(/^sha256 is for checkpoints behind a URL/);
  await expect(openCheckpoint(new Blob(), { keep: true })).rejects.toThrow(/^keep is for checkpoints behind a URL/);
});
