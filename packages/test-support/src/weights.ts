// Weights made from a seed, in every format.

import {
  cutWeight,
  type FormatName,
  formatBytes,
  type Graph,
  resolveRanges,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { formats, numberToBf16, numberToF16, offsetFormats } from "@polyllama/formats";
import { signed, uniform } from "./random.ts";

export const everyFormat: readonly FormatName[] = Object.keys(formats) as FormatName[]; // the record's own keys

/** Reals in [-scale, scale). */
export function randomReals(seed: number, count: number, scale = 1): Float32Array {
  const next = signed(seed);
  return Float32Array.from({ length: count }, () => next() * scale);
}

/** Blocks of a format with random quants and moderate scales. */
function randomBytes(format: FormatName, elements: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = uniform(seed);
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

export interface RandomSource extends WeightSource {
  /** Changes the fingerprint, as a changed file would. */
  version: string;
  reads: number;
  readonly bytes: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Random weights for a graph, in the format that `formatOf` says; norms in f32 around 1. */
export function randomSource(
  graph: Graph,
  formatOf: (name: string) => FormatName = () => "f32",
  seed = 1,
): RandomSource {
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
  const source: RandomSource = {
    name: "random weights",
    version: `${seed}`,
    reads: 0,
    weights,
    bytes,
    async read(name, ranges) {
      source.reads++;
      return cutWeight(bytes.get(name)!, resolveRanges(weights.get(name)!, ranges)); // both list the graph's weights
    },
    fingerprint: async () => `test ${seed} ${source.version} ${JSON.stringify([...weights.values()])}`,
  };
  return source;
}
