// Weights made from a seed, in every format, and the bounds that results are held to: derived from the arithmetic that the
// backend declares, never from what it happens to give.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dotError } from "@polyllama/backend-reference";
import {
  columnCount,
  type FormatName,
  formatBytes,
  formats,
  type Graph,
  numberToBf16,
  numberToF16,
  q4kMinimum,
  q4kScale,
  type RealArray,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { expect, onTestFinished } from "vitest";

export const everyFormat: readonly FormatName[] = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"];

/** Unit roundoff of f32. */
export const u: number = 2 ** -24;

/** Numbers from a seed, uniform in [0, 1). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Reals in [-scale, scale). */
export function randomReals(seed: number, count: number, scale = 1): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * scale);
}

/** Blocks of a format with random quants and moderate scales. */
function randomBytes(format: FormatName, elements: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  const bytes = new Uint8Array(formatBytes(format, elements));
  const half = (at: number, value: number): void => new DataView(bytes.buffer).setUint16(at, value, true);
  if (format === "f32") {
    new Float32Array(bytes.buffer).set(randomReals(seed, elements, 0.5));
    return bytes;
  }
  if (format === "f16" || format === "bf16") {
    const convert = format === "f16" ? numberToF16 : numberToBf16;
    for (let i = 0; i < elements; i++) half(2 * i, convert(Math.fround(next() - 0.5)));
    return bytes;
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(next() * 256);
  const { blockBytes } = formats[format];
  const scales = { q8_0: [0], q4_0: [0], q4_k: [0, 2], q6_k: [208] }[format];
  for (let start = 0; start < bytes.length; start += blockBytes) {
    for (const offset of scales) half(start + offset, numberToF16(Math.fround(0.001 + 0.01 * next())));
  }
  return bytes;
}

export interface TestSource extends WeightSource {
  /** Changes the fingerprint, as a changed file would. */
  version: string;
  reads: number;
  readonly bytes: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Random weights for a graph, in the format that `formatOf` says; norms in f32 around 1. */
export function randomSource(graph: Graph, formatOf: (name: string) => FormatName = () => "f32", seed = 1): TestSource {
  const weights = new Map<string, WeightInfo>();
  const bytes = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [index, { name, shape }] of graph.weights.entries()) {
    const elements = shape.reduce((a, b) => a * b, 1);
    const format = shape.length === 1 ? "f32" : formatOf(name);
    weights.set(name, { name, shape, format });
    const content = randomBytes(format, elements, seed * 1000 + index);
    if (shape.length === 1) {
      const values = new Float32Array(content.buffer);
      for (let i = 0; i < elements; i++) values[i] = 1 + values[i]! / 2;
    }
    bytes.set(name, content);
  }
  const source: TestSource = {
    name: "random weights",
    version: `${seed}`,
    reads: 0,
    weights,
    bytes,
    async read(name, rows) {
      source.reads++;
      const info = weights.get(name)!;
      const rowBytes = formatBytes(info.format, columnCount(info));
      const { first, count } = rows ?? { first: 0, count: rowCount(info) };
      return bytes.get(name)!.slice(first * rowBytes, (first + count) * rowBytes);
    },
    fingerprint: async () => `test ${seed} ${source.version} ${JSON.stringify([...weights.values()])}`,
  };
  return source;
}

/** A weight's f32 values. */
function valuesOf(source: TestSource, name: string): Float32Array {
  const { format, shape } = source.weights.get(name)!;
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  formats[format].dequantize(source.bytes.get(name)!, values);
  return values;
}

/** Product and bound of `x w^T` in float64: [rows, M] each. */
export interface Judged {
  readonly value: Float64Array;
  readonly bound: Float64Array;
}

/**
 * linear with f32 activations. Sums of the backend have the magnitudes of its own terms, which for Q4_K's offsets and for
 * halved 8-bit values are larger than |x w|: `magnitudes` gives them.
 */
export function judgeLinear(x: Float32Array, source: TestSource, name: string): Judged {
  const info = source.weights.get(name)!;
  const K = columnCount(info);
  const M = rowCount(info);
  const w = valuesOf(source, name);
  const magnitude = magnitudes(source, name, w);
  const rows = x.length / K;
  const value = new Float64Array(rows * M);
  const bound = new Float64Array(rows * M);
  for (let n = 0; n < rows; n++) {
    for (let m = 0; m < M; m++) {
      let sum = 0;
      let most = 0;
      for (let k = 0; k < K; k++) {
        sum += x[n * K + k]! * w[m * K + k]!;
        most += Math.abs(x[n * K + k]!) * magnitude[m * K + k]!;
      }
      value[n * M + m] = sum;
      bound[n * M + m] = u * (dotError(K) * most + Math.abs(sum)) + 2 ** -140;
    }
  }
  return { value, bound };
}

function magnitudes(source: TestSource, name: string, w: Float32Array): Float32Array {
  const { format } = source.weights.get(name)!;
  const bytes = source.bytes.get(name)!;
  if (format === "q4_k") return w.map((value, i) => Math.abs(value - offset(bytes, i)) + Math.abs(offset(bytes, i)));
  // high and low halves: 16 |high| + low is at most |q| + 30
  if (format === "q8_0" || format === "q6_k")
    return w.map((value, i) => Math.abs(value) + 30 * scale(format, bytes, i));
  return w.map(Math.abs);
}

/** Q4_K's 8 s - m at element i. */
function offset(bytes: Uint8Array, i: number): number {
  const start = Math.floor(i / 256) * 144;
  const j = (i % 256) >> 5;
  const view = new DataView(bytes.buffer);
  const [d, dmin] = [f16(view, start), f16(view, start + 2)];
  return Math.fround(8 * d * q4kScale(bytes, start, j) - dmin * q4kMinimum(bytes, start, j));
}

/** Magnitude of one step of the quants at element i. */
function scale(format: "q8_0" | "q6_k", bytes: Uint8Array, i: number): number {
  const view = new DataView(bytes.buffer);
  if (format === "q8_0") return Math.abs(f16(view, Math.floor(i / 32) * 34));
  const start = Math.floor(i / 256) * 210;
  return Math.abs(f16(view, start + 208) * view.getInt8(start + 192 + ((i % 256) >> 4)));
}

function f16(view: DataView, at: number): number {
  const values = new Float32Array(1);
  formats.f16.dequantize(new Uint8Array(view.buffer, view.byteOffset + at, 2), values);
  return values[0]!;
}

/**
 * linear with int8 activations, emulated: every block of x becomes integers times absmax / 127. Where a quotient lies so near
 * the middle of two integers that f32 may decide either way, the bound takes in both.
 */
export function emulateInt8Linear(x: Float32Array, source: TestSource, name: string): Judged {
  const info = source.weights.get(name)!;
  const { format } = info;
  const K = columnCount(info);
  const M = rowCount(info);
  const w = valuesOf(source, name);
  const bytes = source.bytes.get(name)!;
  const block = format === "q6_k" ? 16 : 32;
  const rows = x.length / K;
  const rounded = new Float64Array(x.length);
  const doubt = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += block) {
    let most = 0;
    for (let i = start; i < start + block; i++) most = Math.max(most, Math.abs(x[i]!));
    const step = most / 127;
    for (let i = start; i < start + block && step > 0; i++) {
      const quotient = x[i]! / step;
      rounded[i] = Math.round(quotient) * step;
      const toMiddle = Math.abs(quotient - Math.floor(quotient) - 0.5);
      if (toMiddle < 127 * 4 * u) doubt[i] = step;
    }
  }
  const value = new Float64Array(rows * M);
  const bound = new Float64Array(rows * M);
  for (let n = 0; n < rows; n++) {
    for (let m = 0; m < M; m++) {
      let sum = 0;
      let most = 0;
      let doubtful = 0;
      for (let k = 0; k < K; k++) {
        const at = m * K + k;
        const plain = format === "q4_k" ? offset(bytes, at) : 0;
        const quant = w[at]! - plain;
        sum += rounded[n * K + k]! * quant + x[n * K + k]! * plain;
        most += Math.abs(x[n * K + k]!) * (Math.abs(quant) + Math.abs(plain));
        doubtful += doubt[n * K + k]! * Math.abs(quant);
      }
      value[n * M + m] = sum;
      // Scales of x carry two roundings of their own.
      bound[n * M + m] = u * ((dotError(K) + 4) * most + Math.abs(sum)) + doubtful + 2 ** -140;
    }
  }
  return { value, bound };
}

/** Every element within its bound; the message names the worst one. */
export function expectWithin(actual: RealArray, { value, bound }: Judged): void {
  expect(actual.length).toBe(value.length);
  let worst = 0;
  let at = -1;
  for (let i = 0; i < value.length; i++) {
    const excess = Math.abs(actual[i]! - value[i]!) / bound[i]!;
    if (!(excess <= worst)) {
      worst = excess;
      at = i;
    }
  }
  expect(worst, `element ${at}: ${actual[at]} against ${value[at]} within ${bound[at]}`).toBeLessThanOrEqual(1);
}

/** Largest absolute difference. */
export function farthest(a: RealArray, b: RealArray): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= most)) most = difference; // NaN too
  }
  return most;
}

/** A folder that goes when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function argmax(values: RealArray): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
