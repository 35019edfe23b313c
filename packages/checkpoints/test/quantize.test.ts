import { cutWeight, formatBytes, resolveRanges, type WeightInfo, type WeightSource } from "@polyllama/core";
import { formats, quantizeRows } from "@polyllama/formats";
import { describe, expect, test } from "vitest";
import { createQuantizerPool, openCheckpoint, quantized } from "../src/index.ts";

describe("createQuantizerPool", () => {
  const values = Float32Array.from({ length: 3 * 2 ** 18 + 512 }, (_, i) => Math.sin(i * i) / (1 + (i % 7)));

  test.each(["q4_0", "q6_k", "f16"] as const)("%s on threads gives what it gives on one", async (format) => {
    await using pool = createQuantizerPool({ threads: 2 });
    const [a, b] = await Promise.all([pool.quantize(values, format), pool.quantize(values.subarray(256), format)]);
    expect(Buffer.compare(a, quantizeRows(values, format))).toBe(0);
    expect(Buffer.compare(b, quantizeRows(values.subarray(256), format))).toBe(0);
    await using single = createQuantizerPool({ threads: 1 });
    expect(Buffer.compare(await single.quantize(values, format), a)).toBe(0);
  });

  test("an abort is noticed, the pool stays usable, and disposing it ends its use", async () => {
    const pool = createQuantizerPool({ threads: 2 });
    const controller = new AbortController();
    const work = pool.quantize(values, "q4_k", controller.signal);
    controller.abort(new Error("stop"));
    await expect(work).rejects.toThrow("stop");
    expect(await pool.quantize(values.subarray(0, 256), "q4_k")).toHaveLength(144);
    const last = pool.quantize(values, "q8_0");
    await pool[Symbol.asyncDispose]();
    await expect(last).resolves.toHaveLength((values.length / 32) * 34);
    await expect(pool.quantize(values, "q8_0")).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("refuses what it cannot do", async () => {
    expect(() => createQuantizerPool({ threads: 0 })).toThrow(/threads/);
    await using pool = createQuantizerPool();
    await expect(pool.quantize(new Float32Array(33), "q4_0")).rejects.toThrow(/33 values are not whole blocks of 32/);
  });
});

describe("quantized", () => {
  test("matrices of floats are quantized row by row; norms, quantized ones and odd widths stay", async () => {
    await using source = await openCheckpoint(
      "synthetic://llama-2-7b?format=f16&dim=64&heads=2&hidden=80&layers=1&vocab=300",
    );
    const result = quantized(source, "q8_0");
    expect(result.weights.get("tok_embeddings.weight")?.format).toBe("q8_0");
    expect(result.weights.get("norm.weight")?.format).toBe("f32");
    expect(result.weights.get("layers.0.feed_forward.w2.weight")?.format).toBe("f16"); // rows of 80
    expect(quantized(result, "q4_0").weights).toEqual(
      new Map([...result.weights].map(([name, info]) => [name, info])), // nothing left to quantize
    );

    const name = "layers.0.attention.wq.weight";
    const values = new Float32Array(64 * 64);
    formats.f16.dequantize(await source.read(name), values);
    expect(await result.read(name)).toEqual(quantizeRows(values, "q8_0"));
    expect(await result.read(name, { rows: { first: 5, count: 3 } })).toEqual(
      quantizeRows(values.subarray(5 * 64, 8 * 64), "q8_0"),
    );
    expect(await result.read("norm.weight")).toEqual(await source.read("norm.weight"));
    expect(await result.fingerprint()).not.toBe(await source.fingerprint());
    expect(result.config).toBe(source.config);
  });

  test("rows that are not whole blocks of 256 take blocks of 32, as in llama.cpp", async () => {
    await using source = await openCheckpoint(
      "synthetic://llama-2-7b?format=f16&dim=64&heads=2&hidden=256&layers=1&vocab=300",
    );
    for (const [format, shorter] of [
      ["q4_k", "q5_0"],
      ["q5_k", "q5_1"],
      ["q6_k", "q8_0"],
    ] as const) {
      const { weights, read } = quantized(source, format);
      expect(weights.get("layers.0.feed_forward.w2.weight")?.format).toBe(format); // rows of 256
      expect(weights.get("layers.0.attention.wq.weight")?.format).toBe(shorter); // rows of 64
      expect(await read("layers.0.attention.wq.weight")).toHaveLength(formatBytes(shorter, 64 * 64));
    }
  });

  test("a matrix that is read in several pieces, the last one smaller", async () => {
    const [rows, columns] = [1100, 4096]; // a piece has 1,024 rows
    const info: WeightInfo = { name: "a.weight", shape: [rows, columns], format: "f32" };
    const values = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 40503) % 65537) - 32768);
    const read: number[] = [];
    const result = quantized(
      {
        name: "memory",
        weights: new Map([[info.name, info]]),
        async read(_, ranges) {
          const { first, count } = ranges?.rows ?? { first: 0, count: rows };
          read.push(count);
          return new Uint8Array(values.buffer, first * columns * 4, count * columns * 4).slice();
        },
        fingerprint: async () => "fixed",
      },
      "q8_0",
    );
    const expected = quantizeRows(values, "q8_0");
    expect(Buffer.compare(await result.read("a.weight"), expected)).toBe(0);
    expect(read).toEqual([1024, 76]);
    const later = await result.read("a.weight", { rows: { first: 30, count: 1030 } });
    const rowBytes = expected.length / rows;
    expect(Buffer.compare(later, expected.subarray(30 * rowBytes, 1060 * rowBytes))).toBe(0);
  });

  test("a NaN is named, not hidden in a block", async () => {
    const info: WeightInfo = { name: "a.weight", shape: [3, 32], format: "f32" };
    const values = new Float32Array(96);
    values[70] = Number.NaN;
    const source: WeightSource = {
      name: "memory",
      weights: new Map([[info.name, info]]),
      read: async (_, ranges) => cutWeight(new Uint8Array(values.buffer), resolveRanges(info, ranges)),
      fingerprint: async () => "fixed",
    };
    const result = quantized(source, "q4_0");
    await expect(result.read("a.weight", { rows: { first: 0, count: 2 } })).resolves.toHaveLength(36);
    await expect(result.read("a.weight", { rows: { first: 1, count: 2 } })).rejects.toThrow(
      /memory, tensor "a.weight": row 2, column 6, holds a NaN/,
    );
  });

  test("an abort is noticed", async () => {
    const source = await openCheckpoint("synthetic://tinyllama-1.1b?format=f16");
    const result = quantized(source, "q4_0");
    const controller = new AbortController();
    const reading = result.read("tok_embeddings.weight", undefined, controller.signal);
    setTimeout(() => controller.abort(new Error("stop")), 5);
    await expect(reading).rejects.toThrow("stop");
  });
});
