// The unquantized formats: IEEE 754 binary32 and binary16, and bfloat16, the upper half of binary32. All little-endian.

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";

// Conversions go through this pair of views on the same four bytes.
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Value of IEEE binary16 bits; exact. */
function f16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** All 65,536 binary16 values, for reading many. */
export const f16Table: Float32Array = Float32Array.from({ length: 65536 }, (_, half) => f16ToNumber(half));

/** Bits of the binary16 value nearest to a number that is already f32, ties to even; from 65,520 on infinity. */
export function numberToF16(value: number): number {
  float[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  // From 2^-14 to below 65,520: rounding may carry from the fraction into the exponent, as it should.
  if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  return sign | (magnitude > 0x38800000 ? 0x7c00 : roundToEven(Math.abs(float[0]!) * 2 ** 24));
}

/** Bits of the bfloat16 value nearest to a number that is already f32, ties to even. */
export function numberToBf16(value: number): number {
  float[0] = value;
  const word = bits[0]!;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Little-endian 16-bit words of bytes at any offset. */
export function words16(bytes: Uint8Array): Uint16Array {
  if (bytes.byteOffset % 2 === 0) return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
  return new Uint16Array(bytes.slice().buffer, 0, bytes.byteLength >> 1);
}

/** Little-endian 32-bit words of bytes at any offset. */
function words32(bytes: Uint8Array): Uint32Array {
  if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  return new Uint32Array(bytes.slice().buffer, 0, bytes.byteLength >> 2);
}

/**
 * Index of the first word in which all of these bits are set, or -1. A plain loop; `findIndex` takes eight times as
 * long.
 */
function indexOfBits(words: Uint16Array | Uint32Array, bits: number): number {
  for (let i = 0; i < words.length; i++) if ((words[i]! & bits) === bits) return i;
  return -1;
}

export const f32: Format = {
  name: "f32",
  ggmlType: 0,
  ...blockSizes.f32,
  dequantize(bytes, output) {
    new Uint32Array(output.buffer, output.byteOffset, output.length).set(words32(bytes));
  },
  findNonFinite(bytes) {
    return indexOfBits(words32(bytes), 0x7f800000);
  },
};

export const f16: Format = {
  name: "f16",
  ggmlType: 1,
  ...blockSizes.f16,
  dequantize(bytes, output) {
    const halves = words16(bytes);
    for (let i = 0; i < halves.length; i++) output[i] = f16Table[halves[i]!]!;
  },
  findNonFinite(bytes) {
    return indexOfBits(words16(bytes), 0x7c00);
  },
};

export const bf16: Format = {
  name: "bf16",
  ggmlType: 30,
  ...blockSizes.bf16,
  dequantize(bytes, output) {
    const halves = words16(bytes);
    const words = new Uint32Array(output.buffer, output.byteOffset, output.length);
    for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  },
  findNonFinite(bytes) {
    return indexOfBits(words16(bytes), 0x7f80);
  },
};
