// Bounds of operations against computations that round as they are derived for: they must hold where a term of theirs
// alone covers the error.

import type { AttentionNode, OffsetFormatName } from "@polyllama/core";
import { formats, offsetFormats } from "@polyllama/formats";
import { signed } from "@polyllama/test-support/random";
import { expect, test } from "vitest";
import type { Rounding } from "../src/bounds.ts";
import { magnitudes } from "../src/magnitudes.ts";
import { type Matrix, matrix } from "../src/matrix.ts";
import { attention } from "../src/ops/attention.ts";
import { swigluBound } from "../src/ops/swiglu.ts";

const f32: Rounding = { unit: 2 ** -24, flushesSubnormals: false, exp: 1 };

const row = (values: readonly number[]): Matrix => ({ rows: 1, width: values.length, data: Float64Array.from(values) });

/** One head, one row that sees all keys: what comes out, or with `rounding` its bound. */
function attend(
  q: readonly number[],
  k: readonly number[][],
  v: readonly number[][],
  rounding?: Rounding,
): Float64Array {
  const d = q.length;
  const node: AttentionNode = {
    op: "attention",
    q: "q",
    k: "k",
    v: "v",
    output: "y",
    heads: 1,
    kvHeads: 1,
    headDim: d,
  };
  const y = matrix(1, d);
  const past = { k: Float64Array.from(k.flat()), v: Float64Array.from(v.flat()) };
  attention(row(q), { first: 0, rows: 1, start: k.length - 1, past }, node, y, rounding);
  return y.data;
}

test("scores whose products cancel keep the errors of all products", () => {
  const next = signed(7);
  const d = 64;
  const numbers = (): number[] => Array.from({ length: d }, () => Math.fround(next()));
  for (let turn = 0; turn < 300; turn++) {
    const q = numbers().map((value) => value * 64);
    const keys = [numbers(), numbers()];
    const values = [numbers(), numbers()];
    const scores = keys.map((key) => {
      let sum = 0;
      for (let i = 0; i < d; i++) sum = Math.fround(sum + Math.fround(q[i]! * key[i]!));
      return sum / Math.sqrt(d);
    });
    const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
    const total = weights[0]! + weights[1]!;
    const exact = attend(q, keys, values);
    const bound = attend(q, keys, values, f32);
    for (let i = 0; i < d; i++) {
      const rounded = (weights[0]! * values[0]![i]! + weights[1]! * values[1]![i]!) / total;
      expect(Math.abs(rounded - exact[i]!)).toBeLessThanOrEqual(bound[i]!);
    }
  }
});

test("keys that are too small for a cache in f16 become zero", () => {
  const q = Array<number>(4).fill(2 ** 20);
  const zero = Array<number>(4).fill(0);
  const keys = [zero, Array<number>(4).fill(2 ** -26)];
  const values = [Array<number>(4).fill(1), Array<number>(4).fill(-1)];
  const bound = attend(q, keys, values, { ...f32, cache: "f16" });
  const error = attend(q, keys, values)[0]! - attend(q, [zero, zero], values)[0]!;
  expect(Math.abs(error)).toBeGreaterThan(2 ** -8);
  expect(Math.abs(error)).toBeLessThanOrEqual(bound[0]!);
  expect(bound[0]).toBeGreaterThan(4 * attend(q, keys, values, f32)[0]!);
});

test("a division is rounded like any other operation, unless more is declared", () => {
  const [gate, up] = [row([-3, 0.5, 2]), row([1, -2, 4])];
  const bound = (rounding: Partial<Rounding>) => [...swigluBound(gate, up, { ...f32, ...rounding }).data];
  expect(bound({})).toEqual(bound({ division: 1 }));
  const [one, two] = [bound({ division: 1 }), bound({ division: 2.5 })];
  expect(two.every((value, i) => value > one[i]!)).toBe(true);
});

test("attention loses on tensor cores what they lose, at the sizes that they take alone", () => {
  const bound = (d: number, attends: boolean) => {
    const numbers = (from: number) => Array.from({ length: d }, (_, i) => Math.sin(from + i));
    const tensorCores = {
      fromRows: 1,
      formats: [],
      roundedWeights: [],
      unit: 2 ** -11,
      least: 2 ** -39,
      truncation: { unit: 2 ** -23, group: 4, columns: 128 },
      ...(attends && { attention: { caches: ["f32"] as const, multiple: 8, most: 16 } }),
    };
    return attend(numbers(0), [numbers(1), numbers(2)], [numbers(3), numbers(4)], {
      ...f32,
      cache: "f32",
      tensorCores,
    })[0]!;
  };
  for (const d of [8, 16]) expect(bound(d, true)).toBeGreaterThan(2 * bound(d, false));
  for (const d of [12, 24]) expect(bound(d, true)).toBe(bound(d, false));
});

test.each(Object.keys(offsetFormats) as OffsetFormatName[])("%s: blocks alike have bounds alike", (format) => {
  const { blockSize, blockBytes, dequantize } = formats[format];
  const next = signed(3);
  // exponents of f16 below 0x78
  const block = Uint8Array.from({ length: blockBytes }, () => Math.floor((next() + 1) * 56));
  const bytes = Uint8Array.from([...block, ...block]);
  const values = new Float32Array(2 * blockSize);
  dequantize(bytes, values);
  const info = { name: "w", shape: [1, 2 * blockSize], format } as const;
  const { summed, rounded } = magnitudes({ info, values, bytes }, { ...f32, apartOffsets: [format] });
  for (const of of [summed, rounded]) expect(of.subarray(blockSize)).toEqual(of.subarray(0, blockSize));
  expect(summed.every((sum, i) => sum >= rounded[i]! && sum >= Math.abs(values[i]!) * (1 - 2 ** -20))).toBe(true);
});
