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
  type Graph,
  type RealArray,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { f16At, formats, numberToBf16, numberToF16, offsetFormats, q4kScale, q8kScale } from "@polyllama/formats";
import { expect, onTestFinished } from "vitest";

export const everyFormat: readonly FormatName[] = Object.keys(formats) as FormatName[]; // the record's own keys

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
  for (let start = 0; start < bytes.length; start += blockBytes) {
    if (format === "q8_k") new DataView(bytes.buffer).setFloat32(start, 0.001 + 0.01 * next(), true);
    else {
      const scales =
        { q2_k: [80, 82], q3_k: [108], q6_k: [208] }[format as string] ?? (format in offsetFormats ? [0, 2] : [0]);
      for (const offset of scales) half(start + offset, numberToF16(Math.fround(0.001 + 0.01 * next())));
    }
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
  const plain = offsets(format, bytes, w.length);
  const parts = w.map((value, i) => Math.abs(value - plain[i]!) + Math.abs(plain[i]!));
  if (!eightBits.has(format)) return parts;
  // high and low halves: 16 |high| + low is at most |q| + 30
  return parts.map((value, i) => value + 30 * step(format, bytes, i));
}

/** Formats that the backend packs into 8 bits. */
const eightBits: ReadonlySet<FormatName> = new Set(["q8_0", "q5_0", "q5_1", "iq4_nl", "q5_k", "q6_k", "q8_k"]);

/** The part of each value that multiplies sums of x: c s + m for values s q + m, otherwise nothing. */
function offsets(format: FormatName, bytes: Uint8Array, count: number): Float32Array {
  const result = new Float32Array(count);
  const apart = Object.entries(offsetFormats).find(([name]) => name === format)?.[1];
  if (apart === undefined) return result;
  const { blockSize, blockBytes } = formats[format];
  for (let i = 0; i < count; i++) {
    const start = Math.floor(i / blockSize) * blockBytes;
    const j = Math.floor((i % blockSize) / apart.subBlock);
    result[i] = apart.middle * apart.scale(bytes, start, j) + apart.offset(bytes, start, j);
  }
  return result;
}

/** Magnitude of one step of the quants at element i. */
function step(format: FormatName, bytes: Uint8Array, i: number): number {
  const { blockSize, blockBytes } = formats[format];
  const start = Math.floor(i / blockSize) * blockBytes;
  if (format === "q8_k") return Math.abs(q8kScale(bytes, start));
  if (format === "q6_k") {
    return Math.abs(f16At(bytes, start + 208) * ((bytes[start + 192 + ((i % 256) >> 4)]! << 24) >> 24));
  }
  const sub = format === "q5_k" ? q4kScale(bytes, start, (i % 256) >> 5) : 1;
  return Math.abs(f16At(bytes, start) * sub);
}

/** Elements whose scale and whose rounding of x is one. */
function blockOf(format: FormatName): number {
  return format === "q2_k" || format === "q3_k" || format === "q6_k" ? 16 : 32;
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
  const block = blockOf(format);
  const plains = offsets(format, bytes, w.length);
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
        const plain = plains[at]!;
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
