// The bound of products whose operands are rounded to bf16, against a computation that rounds and cuts off as it is derived
// for: it must hold, also where errors have all the same sign, and it must be near, or it would not see a fault. And
// it is that of training, not of a linear elsewhere.

import { buildGraph, type FormatName, type Graph, type ProductRounding } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { signed, uniform } from "@polyllama/test-support/random";
import { expect, test } from "vitest";
import { type Rounding, reference, runWithBounds } from "../src/index.ts";
import type { Matrix } from "../src/matrix.ts";
import { roundedProductError } from "../src/rounded-products.ts";

const rounding: ProductRounding = {
  formats: ["f32"],
  unit: 2 ** -8,
  least: 2 ** -134,
  truncation: { unit: 2 ** -23, group: 4, columns: 16 },
};

/** The nearest bf16, ties to even. */
function bfloat(value: number): number {
  if (value === 0) return 0;
  const step = 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(value)))) - 7);
  const [low, rest] = [Math.floor(value / step), value / step - Math.floor(value / step)];
  return (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low) * step;
}

/** The sum of products in groups of four, each addend and each sum cut off at 24 bits, or at f32's least step. */
function truncatedDot(a: readonly number[], b: readonly number[]): number {
  const cut = (value: number, largest: number): number => {
    if (largest === 0) return 0;
    const step = Math.max(2 ** -149, 2 ** (Math.floor(Math.log2(largest)) - 23));
    return Math.trunc(value / step) * step;
  };
  let sum = 0;
  for (let k = 0; k < a.length; k += 4) {
    const addends = [sum, ...a.slice(k, k + 4).map((value, i) => value * b[k + i]!)];
    const largest = Math.max(...addends.map(Math.abs));
    const whole = addends.reduce((total, addend) => total + cut(addend, largest), 0);
    sum = cut(whole, Math.abs(whole));
  }
  return sum;
}

/** The largest share of its bound that an error is, over some pairs of rows. */
function worst(D: number, a: () => number, b: () => number): number {
  let most = 0;
  const matrixOf = (row: readonly number[]): Matrix => ({ rows: 1, width: D, data: Float64Array.from(row) });
  for (let n = 0; n < 20; n++) {
    const [x, y] = [a, b].map((next) => Array.from({ length: D }, () => Math.fround(next()))) as [number[], number[]]; // of two
    const exact = x.reduce((sum, value, k) => sum + value * y[k]!, 0);
    const error = Math.abs(truncatedDot(x.map(bfloat), y.map(bfloat)) - exact);
    if (error > 0) most = Math.max(most, error / roundedProductError(matrixOf(x), matrixOf(y), rounding).data[0]!);
  }
  return most;
}

const positive = uniform(1);
const mixed = signed(2);
/** Off by nearly half a step, always the same way. */
const off = 1 + 0.96 * 2 ** -8;

test.each([
  { name: "a single term", D: 1, a: mixed, b: mixed, least: 0.4 },
  { name: "mixed signs", D: 512, a: mixed, b: mixed, least: 0.05 },
  { name: "all positive", D: 512, a: positive, b: positive, least: 0.05 },
  { name: "too small for a whole step", D: 7, a: () => mixed() * 2 ** -130, b: mixed, least: 0.05 },
  // Independent errors would be held to a quarter of these.
  { name: "a single value on the left", D: 512, a: () => off, b: positive, least: 0.5 },
  { name: "a single value on the right", D: 512, a: positive, b: () => off, least: 0.5 },
  {
    name: "a single magnitude, its signs those of the other",
    D: 512,
    ...signs(),
    least: 0.5,
  },
])("$name", ({ D, a, b, least }) => {
  const share = worst(D, a, b);
  expect(share).toBeLessThanOrEqual(1);
  expect(share).toBeGreaterThan(least);
});

/** Elements of one sign in both at each place. */
function signs(): { readonly a: () => number; readonly b: () => number } {
  const next = () => {
    const [sign, size] = [signed(3), uniform(4)];
    return { sign: () => (sign() < 0 ? -1 : 1), size };
  };
  const [one, other] = [next(), next()];
  return { a: () => one.sign() * off, b: () => other.sign() * other.size() };
}

const [N, K, M] = [3, 32, 8];

function linearGraph(trains: boolean): Graph {
  return buildGraph((g) => {
    const x = g.activations("x", K);
    const y = g.linear("y", x, g.weight("w", [M, K]));
    return trains ? [y, g.scale("scaled", y, { factor: 0.5 })] : [y];
  });
}

async function meanBound(graph: Graph, format: FormatName, given: Partial<Rounding>): Promise<number> {
  const { blockBytes, blockSize } = formats[format];
  const bytes = new Uint8Array((M * K * blockBytes) / blockSize).fill(format === "f32" ? 0x3f : 0x33);
  const weights = {
    name: "test",
    weights: new Map([["w", { name: "w", shape: [M, K], format }]]),
    read: async () => bytes,
    fingerprint: async () => "test",
  };
  await using device = reference();
  await using loaded = await loadGraph(device, graph, weights);
  const next = signed(5);
  const step = { inputs: { x: Float32Array.from({ length: N * K }, next) }, sequences: [{ rows: N }] };
  const f32: Rounding = { unit: 2 ** -24, flushesSubnormals: false, exp: 1, ...given };
  const [value] = await runWithBounds(loaded, step, ["y"], f32);
  return [...value!.bound.data].reduce((sum, bound) => sum + bound, 0) / (N * M); // it was asked for
}

test("a linear has it in a graph that trains, with weights of the formats that are declared", async () => {
  const more = { trainingProducts: rounding };
  const [trains, infers] = [linearGraph(true), linearGraph(false)];
  expect(await meanBound(trains, "f32", more)).toBeGreaterThan(1000 * (await meanBound(trains, "f32", {})));
  expect(await meanBound(infers, "f32", more)).toBe(await meanBound(infers, "f32", {}));
  expect(await meanBound(trains, "q4_0", more)).toBe(await meanBound(trains, "q4_0", {}));
});
