// The noise behind `synthetic.ts`: rows of blocks out of a key and a row number. Scales are reckoned in units of 2^-24,
// the least binary16 number, and written as the binary16 number with these units.

import type { FormatName, WeightInfo } from "@polyllama/core";
import { formats } from "@polyllama/formats";

/** How to fill rows of one tensor. */
export interface Recipe {
  readonly kind: FormatName | "norm";
  /** For blocks: 256 scales in units of 2^-24. For floats: the bits of the smallest magnitude, alone. */
  readonly units: Int32Array;
  /** The scales as binary16. */
  readonly scales: Uint16Array;
  /** The scales times the mean of the quants, as binary16. */
  readonly minimumScales: Uint16Array;
}

/** Key of a tensor: FNV-1a over its name, mixed with the seed. */
export function tensorKey(seed: number, name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return mix(mix(seed) ^ hash);
}

/** A permutation of 32-bit integers in which each input bit flips each output bit about half of the time. */
function mix(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0x735a2d97);
  return x ^ (x >>> 15);
}

/** Steps between consecutive inputs of `mix`; odd, so that all 2^32 of them differ. */
const stepBetweenInputs = 0x9e3779b9 | 0;

/**
 * Recipe for a tensor whose elements are to have variance 1 / `columns`.
 *
 * Block scales vary uniformly over [1/2, 3/2) of the middle, which makes their mean square 13/12. The constants are the
 * mean squares of what the scale is multiplied with, times that: quants uniform over 4, 8, 16, 32, 64 and 256 values
 * (1.25, 5.25, 21.25, 85.25, 341.25, 5461.25 about their mean), and sub-block scales as drawn below.
 */
export function recipeFor({ shape, format }: WeightInfo, columns: number): Recipe {
  if (shape.length === 1) return recipe("norm", Int32Array.of(0));
  const square = meanSquares[format];
  if (square !== undefined) return recipe(format, blockScales(unitsOfRoot(square, columns)));
  // Read as integers, the bits of positive floats are nearly their logarithm. Magnitudes are drawn uniformly from the
  // bits of four octaves [a, 16 a), whose mean square is 46 a^2.
  const units = unitsOfRoot(46, columns);
  const bits = f32OfUnits(units);
  if (format === "f32") return recipe(format, Int32Array.of(bits));
  return recipe(format, Int32Array.of(format === "bf16" ? bits >>> 16 : f16OfUnits(units)));
}

/** By format of blocks: see {@link recipeFor}. */
const meanSquares: Readonly<Partial<Record<FormatName, number>>> = {
  q4_0: 23,
  q4_1: 23,
  q5_0: 93,
  q5_1: 92,
  q8_0: 5916,
  iq4_nl: 4927,
  q2_k: 170,
  q3_k: 2035,
  q4_k: 51_800,
  q5_k: 208_000,
  q6_k: 866_000,
  q8_k: 5916,
};

function recipe(kind: Recipe["kind"], units: Int32Array): Recipe {
  const twiceMean = kind === "q2_k" ? 3 : kind === "q5_1" || kind === "q5_k" ? 31 : 15;
  const minimumScales = Uint16Array.from(units, (scale) => f16OfUnits((scale * twiceMean) >> 1));
  return { kind, units, scales: Uint16Array.from(units, f16OfUnits), minimumScales };
}

/** 256 scales spread over [1/2, 3/2) of the middle. */
function blockScales(middle: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, i) => Math.max(1, (middle >> 1) + Math.floor((middle * i) / 256)));
}

/** 1 / sqrt(square * columns) in units of 2^-24, rounded down, at least 1. */
function unitsOfRoot(square: number, columns: number): number {
  const target = 2n ** 48n / (BigInt(square) * BigInt(columns));
  let root = 0n;
  for (let bit = 2n ** 24n; bit > 0n; bit >>= 1n) {
    if ((root + bit) * (root + bit) <= target) root += bit;
  }
  return Math.max(1, Number(root));
}

/** Bits of the binary16 number of this many units of 2^-24, rounded down. */
function f16OfUnits(units: number): number {
  if (units < 1024) return units;
  const exponent = 21 - Math.clz32(units);
  return ((exponent + 1) << 10) + (units >> exponent) - 1024;
}

/** Bits of the f32 number of this many units of 2^-24; exact. */
function f32OfUnits(units: number): number {
  const exponent = 31 - Math.clz32(units);
  return ((exponent + 103) << 23) | ((units << (23 - exponent)) & 0x7fffff);
}

type Fill = (key: number, recipe: Recipe, output: Uint8Array, start: number, columns: number) => void;

const fills: Readonly<Record<Recipe["kind"], Fill>> = {
  norm: fillNorm,
  f32: fillF32,
  f16: (key, recipe, output, start, columns) => fillHalves(key, recipe, 4095, output, start, columns),
  bf16: (key, recipe, output, start, columns) => fillHalves(key, recipe, 511, output, start, columns),
  q8_0: fillQ8,
  q4_0: fillQ4,
  q4_k: fillQ4K,
  q6_k: fillQ6K,
  // The sign of the scale varies, so that quants whose mean is not 0 leave none; an offset takes the quants' mean away.
  q4_1: blocks(20, putPair),
  q5_1: blocks(24, putPair),
  q5_0: blocks(22, (bytes, block, { scales }, noise) => putHalf(bytes, block, signed(scales, noise))),
  iq4_nl: blocks(18, (bytes, block, { scales }, noise) => putHalf(bytes, block, signed(scales, noise))),
  q3_k: blocks(110, (bytes, block, { scales }, noise) => putHalf(bytes, block + 108, signed(scales, noise))),
  q2_k: blocks(84, putQ2K),
  q5_k: blocks(176, putQ5K),
  q8_k: blocks(292, putQ8K),
};

/** Noise in every byte of a block, then its scales by `put`. */
function blocks(
  blockBytes: number,
  put: (bytes: Uint8Array, block: number, recipe: Recipe, noise: number) => void,
): Fill {
  return (key, recipe, output, start, columns) => {
    const bytes = output.subarray(start, start + (columns / formats[recipe.kind as FormatName].blockSize) * blockBytes);
    for (let block = 0, counter = key; block < bytes.length; block += blockBytes) {
      const noise = mix(counter);
      for (let i = 0; i < blockBytes; i += 4) {
        counter = (counter + stepBetweenInputs) | 0;
        const word = mix(counter);
        for (let k = 0; k < 4 && i + k < blockBytes; k++) bytes[block + i + k] = word >>> (8 * k);
      }
      put(bytes, block, recipe, noise);
      counter = (counter + stepBetweenInputs) | 0;
    }
  };
}

function signed(scales: Uint16Array, noise: number): number {
  return scales[noise & 255]! | (noise & 0x8000);
}

function putHalf(bytes: Uint8Array, at: number, half: number): void {
  bytes[at] = half;
  bytes[at + 1] = half >> 8;
}

/** A scale and, of the other sign, the offset. */
function putPair(bytes: Uint8Array, block: number, { scales, minimumScales }: Recipe, noise: number): void {
  putHalf(bytes, block, signed(scales, noise));
  putHalf(bytes, block + 2, signed(minimumScales, noise) ^ 0x8000);
}

/** Sub-block scales of 8 to 14, minimums one step beside them. */
function putQ2K(bytes: Uint8Array, block: number, { scales, minimumScales }: Recipe, noise: number): void {
  for (let j = 0; j < 16; j++) {
    const random = bytes[block + j]!;
    const scale = 8 + (random & 3) + ((random >> 2) & 3);
    bytes[block + j] = scale | ((scale + ((random >> 4) & 1) * 2 - 1) << 4);
  }
  putHalf(bytes, block + 80, scales[noise & 255]!);
  putHalf(bytes, block + 82, minimumScales[noise & 255]!);
}

/** Sub-block scales and minimums as in Q4_K. */
function putQ5K(bytes: Uint8Array, block: number, { scales, minimumScales }: Recipe, noise: number): void {
  putHalf(bytes, block, scales[noise & 255]!);
  putHalf(bytes, block + 2, minimumScales[noise & 255]!);
  putSubScales(bytes, block + 4, (j) => mix(noise + j));
}

/** No quant of -128; the sums that go with the quants. */
function putQ8K(bytes: Uint8Array, block: number, { units }: Recipe, noise: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + block, 292);
  view.setUint32(0, f32OfUnits(units[noise & 255]!), true);
  for (let j = 0; j < 16; j++) {
    let sum = 0;
    for (let i = 4 + j * 16; i < 20 + j * 16; i++) {
      if (bytes[block + i] === 128) bytes[block + i] = 0;
      sum += view.getInt8(i);
    }
    view.setInt16(260 + j * 2, sum, true);
  }
}

/** Writes one row at `start`. */
export function fillRow(
  recipe: Recipe,
  tensor: number,
  row: number,
  output: Uint8Array,
  start: number,
  columns: number,
): void {
  fills[recipe.kind](mix(tensor ^ mix(row + 1)), recipe, output, start, columns);
}

/** Values from 31/32 to 17/16. */
function fillNorm(key: number, _recipe: Recipe, output: Uint8Array, start: number, columns: number): void {
  const words = new Uint32Array(output.buffer, output.byteOffset + start, columns);
  for (let i = 0; i < columns; i++) words[i] = 0x3f800000 + (mix(key + Math.imul(i, stepBetweenInputs)) >> 12);
}

function fillF32(key: number, { units }: Recipe, output: Uint8Array, start: number, columns: number): void {
  const base = units[0]!;
  const words = new Uint32Array(output.buffer, output.byteOffset + start, columns);
  for (let i = 0; i < columns; i++) {
    const noise = mix(key + Math.imul(i, stepBetweenInputs));
    words[i] = (noise & 0x80000000) | (base + (noise & 0x1ffffff));
  }
}

/** Both 16-bit formats: a sign, and bits of the magnitude within `span` of the base. */
function fillHalves(
  key: number,
  { units }: Recipe,
  span: number,
  output: Uint8Array,
  start: number,
  columns: number,
): void {
  const base = units[0]!;
  const halves = new Uint16Array(output.buffer, output.byteOffset + start, columns);
  for (let i = 0; i < columns; i++) {
    const noise = mix(key + Math.imul(i >> 1, stepBetweenInputs)) >>> ((i & 1) << 4);
    halves[i] = (noise & 0x8000) | (base + (noise & span));
  }
}

/** 18 bytes a block; the scale's sign varies, since quants of -8 to 7 have a mean of -1/2. */
function fillQ4(key: number, { scales }: Recipe, output: Uint8Array, start: number, columns: number): void {
  const halves = new Uint16Array(output.buffer, output.byteOffset + start, (columns / 32) * 9);
  for (let i = 0, counter = key; i < halves.length; ) {
    const noise = mix(counter);
    halves[i++] = (noise & 0x8000) | scales[noise & 255]!;
    for (let word = 1; word <= 4; word++) {
      const quants = mix(counter + Math.imul(word, stepBetweenInputs));
      halves[i++] = quants;
      halves[i++] = quants >>> 16;
    }
    counter = (counter + Math.imul(5, stepBetweenInputs)) | 0;
  }
}

/** 34 bytes a block; -128, which no quantizer produces, becomes 0. */
function fillQ8(key: number, { scales }: Recipe, output: Uint8Array, start: number, columns: number): void {
  const halves = new Uint16Array(output.buffer, output.byteOffset + start, (columns / 32) * 17);
  for (let i = 0, counter = key; i < halves.length; ) {
    const noise = mix(counter);
    halves[i++] = (noise & 0x8000) | scales[noise & 255]!;
    for (let word = 1; word <= 8; word++) {
      const quants = withoutLeast(mix(counter + Math.imul(word, stepBetweenInputs)));
      halves[i++] = quants;
      halves[i++] = quants >>> 16;
    }
    counter = (counter + Math.imul(9, stepBetweenInputs)) | 0;
  }
}

/** Four bytes, with those that are -128 replaced by 0. */
function withoutLeast(bytes: number): number {
  let result = bytes;
  for (let shift = 0; shift < 32; shift += 8) if (((bytes >>> shift) & 255) === 128) result ^= 128 << shift;
  return result;
}

/** 144 bytes a block. The minimum offsets the quants' mean of 7.5 to within one step of the sub-block's scale. */
function fillQ4K(key: number, recipe: Recipe, output: Uint8Array, start: number, columns: number): void {
  const bytes = output.subarray(start, start + (columns / 256) * 144);
  const words = new Uint32Array(output.buffer, output.byteOffset + start, bytes.length / 4);
  const { minimumScales } = recipe;
  for (let block = 0, counter = key; block < bytes.length; block += 144) {
    const choice = mix(counter) & 255;
    words[block / 4] = recipe.scales[choice]! | (minimumScales[choice]! << 16);
    const from = counter;
    putSubScales(bytes, block + 4, (j) => mix(from + Math.imul(1 + j, stepBetweenInputs)));
    for (let word = 0; word < 32; word++)
      words[block / 4 + 4 + word] = mix(counter + Math.imul(9 + word, stepBetweenInputs));
    counter = (counter + Math.imul(41, stepBetweenInputs)) | 0;
  }
}

/** The 12 bytes of eight sub-block scales of 32 to 62 and minimums one step beside them. */
function putSubScales(bytes: Uint8Array, at: number, noiseOf: (j: number) => number): void {
  const pair = (j: number): readonly [scale: number, minimum: number] => {
    const noise = noiseOf(j);
    const scale = 32 + (noise & 15) + ((noise >>> 4) & 15);
    return [scale, scale + ((noise >>> 8) & 1) * 2 - 1];
  };
  for (let j = 0; j < 4; j++) {
    const [scale, minimum] = pair(j);
    const [laterScale, laterMinimum] = pair(j + 4);
    bytes[at + j] = scale | ((laterScale >> 4) << 6);
    bytes[at + 4 + j] = minimum | ((laterMinimum >> 4) << 6);
    bytes[at + 8 + j] = (laterScale & 15) | ((laterMinimum & 15) << 4);
  }
}

/** 210 bytes a block; the sub-block scales are 32 to 63 of either sign. */
function fillQ6K(key: number, { scales }: Recipe, output: Uint8Array, start: number, columns: number): void {
  const halves = new Uint16Array(output.buffer, output.byteOffset + start, (columns / 256) * 105);
  for (let i = 0, counter = key; i < halves.length; ) {
    for (let word = 0; word < 48; word++) {
      const quants = mix(counter + Math.imul(word, stepBetweenInputs));
      halves[i++] = quants;
      halves[i++] = quants >>> 16;
    }
    for (let word = 48; word < 52; word++) {
      const noise = mix(counter + Math.imul(word, stepBetweenInputs));
      halves[i++] = signedScale(noise) | (signedScale(noise >>> 8) << 8);
      halves[i++] = signedScale(noise >>> 16) | (signedScale(noise >>> 24) << 8);
    }
    halves[i++] = scales[mix(counter + Math.imul(52, stepBetweenInputs)) & 255]!;
    counter = (counter + Math.imul(53, stepBetweenInputs)) | 0;
  }
}

function signedScale(noise: number): number {
  const magnitude = 32 + (noise & 31);
  return (noise & 128 ? -magnitude : magnitude) & 255;
}
