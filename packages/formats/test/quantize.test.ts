import { readFileSync } from "node:fs";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import { formats, quantizedFormats, quantizeRows } from "../src/index.ts";

describeWithShared("quantizers against libggml", () => {
  const vectors = JSON.parse(readFileSync(shared("vectors/ggml-quant-vectors.json"), "utf8"));
  const input = new Float32Array(new Uint8Array(Buffer.from(vectors.input_f32_b64, "base64")).buffer);

  test.each(["q8_0", "q4_0", "q4_1", "q5_0", "q5_1"] as const)("%s gives ggml's bytes", (format) => {
    expect(Buffer.from(quantizeRows(input, format)).toString("hex")).toBe(
      Buffer.from(vectors.types[format.toUpperCase()].q_b64, "base64").toString("hex"),
    );
  });

  test.each(["q4_k", "q5_k", "q6_k"] as const)("%s errs as ggml does, to 1 in 100", (format) => {
    const rootMeanSquare = (blocks: Uint8Array): number => {
      const values = new Float32Array(input.length);
      formats[format].dequantize(blocks, values);
      return Math.sqrt(values.reduce((sum, value, i) => sum + (value - input[i]!) ** 2, 0) / input.length);
    };
    const theirs = rootMeanSquare(Buffer.from(vectors.types[format.toUpperCase()].q_b64, "base64"));
    const ours = rootMeanSquare(quantizeRows(input, format));
    expect(ours / theirs).toBeLessThan(1.01);
    expect(ours / theirs).toBeGreaterThan(0.9);
  });
});

describe("quantize", () => {
  test("zeros stay zeros and do not divide by zero", () => {
    for (const format of quantizedFormats) {
      const values = new Float32Array(256).fill(1);
      formats[format].dequantize(quantizeRows(new Float32Array(256), format), values);
      expect(values.every((value) => value === 0)).toBe(true);
    }
  });

  test("Q8_0 rounds halves away from zero, on both sides", () => {
    const values = new Float32Array(32);
    values.set([127, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, -127]);
    expect([...new Int8Array(quantizeRows(values, "q8_0").buffer, 2, 8)]).toEqual([127, 1, -1, 2, -2, 3, -3, -127]);
  });

  test("Q4_0 takes the sign of the first value of largest magnitude", () => {
    const values = new Float32Array(32);
    values.set([-8, 8]);
    // scale 1; quants 0 and 15
    expect([...quantizeRows(values, "q4_0").subarray(0, 4)]).toEqual([0x00, 0x3c, 0x80, 0x8f]);
    values.set([8, -8]);
    expect([...quantizeRows(values, "q4_0").subarray(0, 4)]).toEqual([0x00, 0xbc, 0x80, 0x8f]); // scale -1
  });

  test("refuses partial blocks and unknown formats", () => {
    expect(() => quantizeRows(new Float32Array(33), "q8_0")).toThrow(/33 values are not whole blocks of 32/);
    expect(() => quantizeRows(new Float32Array(32), "toString" as "q8_0")).toThrow(/Known formats: f32, .* q8_0, q4_0/);
  });
});
