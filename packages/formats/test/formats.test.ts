import { readFileSync } from "node:fs";
import type { OffsetFormatName } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { expect, test } from "vitest";
import { f16Table, formats, numberToF16, offsetFormats } from "../src/index.ts";

interface GgmlVectors {
  readonly n: number;
  readonly types: Readonly<
    Record<string, { readonly ggml_type: number; readonly q_b64: string; readonly deq_b64: string }>
  >;
}

describeWithShared("dequantization equals ggml's to the last bit", () => {
  // All of ggml's but Q8_K, which ggml itself has no dequantization for.
  const known = Object.values(formats).filter(({ blockSize, name }) => blockSize > 1 && name !== "q8_k");
  test.each(known)("$name", ({ ggmlType, dequantize }) => {
    const vectors: GgmlVectors = JSON.parse(readFileSync(shared("vectors/ggml-quant-vectors.json"), "utf8"));
    const entry = Object.values(vectors.types).find(({ ggml_type }) => ggml_type === ggmlType);
    const output = new Float32Array(vectors.n);
    dequantize(Buffer.from(entry?.q_b64 ?? "", "base64"), output);
    expect(Buffer.from(output.buffer).equals(Buffer.from(entry?.deq_b64 ?? "", "base64"))).toBe(true);
  });
});

test("q8_k: f32 scale times signed bytes; an overflow is found", () => {
  const bytes = new Uint8Array(2 * 292);
  const view = new DataView(bytes.buffer);
  view.setFloat32(0, 0.1, true);
  bytes.set([1, 0xff, 0x80, 0x7f], 4);
  view.setFloat32(292, 2 ** 121, true);
  bytes[292 + 4] = 0x7f;
  const output = new Float32Array(512);
  formats.q8_k.dequantize(bytes, output);
  const d = Math.fround(0.1);
  expect([...output.subarray(0, 5)]).toEqual([d, -d, -128 * d, Math.fround(127 * d), 0]);
  expect(formats.q8_k.findNonFinite(bytes)).toBe(-1);
  bytes[292 + 4] = 0x80;
  expect(formats.q8_k.findNonFinite(bytes)).toBe(1);
});

test.each(Object.keys(offsetFormats) as OffsetFormatName[])("%s: scale and offset are those of its values", (name) => {
  const { blockSize, blockBytes, dequantize } = formats[name];
  const { subBlock, scale, offset } = offsetFormats[name];
  // finite scales
  const bytes = Uint8Array.from({ length: 3 * blockBytes }, (_, i) => (i * 37 + (i >> 3) * 101) & 0x7b);
  const values = new Float32Array(3 * blockSize);
  dequantize(bytes, values);
  for (const [i, value] of values.entries()) {
    const start = Math.floor(i / blockSize) * blockBytes;
    const j = Math.floor((i % blockSize) / subBlock);
    const [s, m] = [scale(bytes, start, j), offset(bytes, start, j)];
    const quants = Array.from({ length: 32 }, (_, q) => Math.fround(s * q + m));
    expect(quants).toContain(value);
  }
});

test("every f16 comes back from its number, and what lies between goes to the nearer one, ties to even", () => {
  for (const [half, value] of f16Table.entries()) {
    if (Number.isNaN(value)) expect(numberToF16(value) & 0x7fff).toBeGreaterThan(0x7c00);
    else if (numberToF16(value) !== half) expect(`${half}: ${value}`).toBe(numberToF16(value));
  }
  for (const sign of [1, -1]) {
    const bits = sign === 1 ? 0 : 0x8000;
    for (let half = 0; half < 0x7bff; half++) {
      const tie = (f16Table[half]! + f16Table[half + 1]!) / 2; // exact in f32
      const [below, above] = [tie * (1 - 2 ** -23), tie * (1 + 2 ** -23)].map(Math.fround) as [number, number];
      const got = [below, tie, above].map((value) => numberToF16(sign * value));
      const expected = [half, half + (half % 2), half + 1].map((each) => bits | each);
      if (String(got) !== String(expected)) expect([half, ...got]).toEqual([half, ...expected]);
    }
    expect([65_519, 65_520, 1e9, Infinity].map((value) => numberToF16(sign * value))).toEqual(
      [0x7bff, 0x7c00, 0x7c00, 0x7c00].map((each) => bits | each),
    );
  }
});
