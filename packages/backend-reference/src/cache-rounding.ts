// What caches keep of keys and values in formats with less than f32's precision.

import type { CacheFormat, RealArray } from "@polyllama/core";
import { f16Table, numberToBf16, numberToF16 } from "@polyllama/formats";

/** Rounds rows of keys or values [n, G d] in place. */
type Round = (values: RealArray) => void;

/** Rounds to a format; undefined where values are kept as they are. */
export function cacheRounding(format: CacheFormat): Round | undefined {
  return rounds[format];
}

const bits = new Uint32Array(1);
const number = new Float32Array(bits.buffer);

function toBf16(value: number): number {
  bits[0] = numberToBf16(value) << 16;
  return number[0]!; // of one
}

const toF16 = (value: number): number => f16Table[numberToF16(value)]!; // every f16 is in the table

const each =
  (round: (value: number) => number): Round =>
  (values) => {
    for (const [i, value] of values.entries()) values[i] = round(value);
  };

/** Elements of a head that share a scale. */
const group = 32;

function toQ8(values: RealArray): void {
  for (let start = 0; start < values.length; start += group) {
    const own = values.subarray(start, start + group);
    let largest = 0;
    for (const value of own) largest = Math.max(largest, Math.abs(value));
    const scale = toF16(largest / 127);
    for (const [i, value] of own.entries()) {
      own[i] = scale === 0 ? 0 : scale * Math.max(-127, Math.min(127, nearest(value / scale)));
    }
  }
}

/** The nearest integer; of two the even one. */
function nearest(value: number): number {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

const rounds: Readonly<Record<CacheFormat, Round | undefined>> = {
  f32: undefined,
  f16: each(toF16),
  bf16: each(toBf16),
  q8_0: toQ8,
};
