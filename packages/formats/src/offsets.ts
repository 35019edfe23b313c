// Formats whose values are s q + m, with an unsigned quant q and a scale s and an offset m that a sub-block shares.
// Backends may sum both parts apart, so scale and offset can be had without the values.

import type { OffsetFormatName } from "@polyllama/core";
import { q4kMinimum, q4kScale } from "./q4_k.ts";
import { f16At } from "./scales.ts";

/** A format whose sub-blocks have an offset beside their scale. */
export interface OffsetFormat {
  /** Values that share scale and offset; a block is a whole number of sub-blocks. */
  readonly subBlock: number;
  /** Half of the number of quants: q - middle is about as often negative as positive. */
  readonly middle: number;
  /** Scale of sub-block j, exact; `start` is the block's first byte. */
  scale(bytes: Uint8Array, start: number, j: number): number;
  /** Offset of sub-block j, exact. */
  offset(bytes: Uint8Array, start: number, j: number): number;
}

const plain = {
  subBlock: 32,
  scale: (bytes: Uint8Array, start: number): number => f16At(bytes, start),
  offset: (bytes: Uint8Array, start: number): number => f16At(bytes, start + 2),
};

const nested = {
  subBlock: 32,
  scale: (bytes: Uint8Array, start: number, j: number): number => f16At(bytes, start) * q4kScale(bytes, start, j),
  offset: (bytes: Uint8Array, start: number, j: number): number =>
    -f16At(bytes, start + 2) * q4kMinimum(bytes, start, j),
};

/** Where scales and offsets lie in the blocks of those formats. */
export const offsetFormats: Readonly<Record<OffsetFormatName, OffsetFormat>> = {
  q4_1: { ...plain, middle: 8 },
  q5_1: { ...plain, middle: 16 },
  q2_k: {
    subBlock: 16,
    middle: 2,
    scale: (bytes, start, j) => f16At(bytes, start + 80) * (bytes[start + j]! & 15),
    offset: (bytes, start, j) => -f16At(bytes, start + 82) * (bytes[start + j]! >> 4),
  },
  q4_k: { ...nested, middle: 8 },
  q5_k: { ...nested, middle: 16 },
};
