// The bound of linears on tensor cores, against a computation that rounds and cuts off as it is derived for: it must
// hold, also where errors have all the same sign, and it must be near, or it would not see a fault.

import type { FormatName, TensorCoreRounding } from "@polyllama/core";
import { signed, uniform } from "@polyllama/test-support/random";
import { expect, test } from "vitest";
import type { Matrix } from "../src/matrix.ts";
import { tensorCoreError } from "../src/tensor-cores.ts";

const rounding: TensorCoreRounding = {
  fromRows: 1,
  formats: ["f16", "q4_0"],
  roundedWeights: ["q4_0"],
  unit: 2 ** -11,
  least: 2 ** -39,
  truncation: { unit: 2 ** -23, group: 4, columns: 128 },
};

/** The nearest f16, ties to even; for values below 2^15. */
function half(value: number): number {
  if (value === 0) return 0;
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10);
  const [low, rest] = [Math.floor(value / step), value / step - Math.floor(value / step)];
  return (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low) * step;
}

function inHalves(row: readonly number[]): readonly number[] {
  const scale = 2 ** (14 - Math.floor(Math.log2(Math.max(...row.map(Math.abs)))));
  return row.map((value) => half(value * scale) / scale);
}

/** The sum of products in groups of four, each addend and each sum cut off at 24 bits. */
function truncatedDot(x: readonly number[], w: readonly number[]): number {
  const cut = (value: number, largest: number): number => {
    if (largest === 0) return 0;
    const step = 2 ** (Math.floor(Math.log2(largest)) - 23);
    return Math.trunc(value / step) * step;
  };
  let sum = 0;
  for (let k = 0; k < x.length; k += 4) {
    const addends = [sum, ...x.slice(k, k + 4).map((value, i) => value * w[k + i]!)];
    const largest = Math.max(...addends.map(Math.abs));
    const whole = addends.reduce((total, addend) => total + cut(addend, largest), 0);
    sum = cut(whole, Math.abs(whole));
  }
  return sum;
}

/** The largest share of its bound that a row's error is, over some rows. */
function worst(format: FormatName, K: number, x: () => number, w: () => number): number {
  let most = 0;
  for (let n = 0; n < 20; n++) {
    const row = Array.from({ length: K }, () => Math.fround(x()));
    const weights = Float32Array.from({ length: K }, w);
    const stored = format === "q4_0" ? [...weights] : inHalves([...weights]);
    const exact = stored.reduce((sum, value, k) => sum + value * row[k]!, 0);
    const actual = truncatedDot(inHalves(row), inHalves(stored));
    const matrix: Matrix = { rows: 1, width: K, data: Float64Array.from(row) };
    const weight = {
      info: { name: "w", shape: [1, K], format },
      values: Float32Array.from(stored),
      bytes: new Uint8Array(),
    };
    most = Math.max(most, Math.abs(actual - exact) / tensorCoreError(matrix, weight, rounding).data[0]!);
  }
  return most;
}

const positive = uniform(1);
const mixed = signed(2);

interface Kind {
  readonly name: string;
  readonly format: FormatName;
  readonly K: number;
  readonly x: () => number;
  readonly w: () => number;
  /** What share of the bound is seen at least. */
  readonly least: number;
}

const kinds: readonly Kind[] = [
  { name: "f16, a single term", format: "f16", K: 1, x: mixed, w: mixed, least: 0.3 },
  { name: "f16, mixed signs", format: "f16", K: 512, x: mixed, w: mixed, least: 0.05 },
  { name: "f16, all positive", format: "f16", K: 512, x: positive, w: positive, least: 0.05 },
  { name: "quantized, mixed signs", format: "q4_0", K: 512, x: mixed, w: mixed, least: 0.05 },
  {
    name: "quantized, 16 values",
    format: "q4_0",
    K: 512,
    x: positive,
    w: () => Math.floor(16 * positive()) * 0.0837,
    least: 0.05,
  },
  // Off by nearly half a step, always the same way: independent errors would be held to a quarter of that.
  { name: "quantized, a single value", format: "q4_0", K: 512, x: positive, w: () => 1 + 0.96 * 2 ** -11, least: 0.5 },
];

test.each(kinds)("$name", ({ format, K, x, w, least }) => {
  const share = worst(format, K, x, w);
  expect(share).toBeLessThanOrEqual(1);
  expect(share).toBeGreaterThan(least);
});
