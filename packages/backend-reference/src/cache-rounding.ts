// What caches keep of keys and values in formats with less than f32's precision.

import type { CacheFormat } from "@polyllama/core";
import { f16Table, numberToBf16, numberToF16 } from "@polyllama/formats";

type Round = (value: number) => number;

/** Rounds to a format; undefined where values are kept as they are. */
export function cacheRounding(format: CacheFormat): Round | undefined {
  return rounds[format];
}

const bits = new Uint32Array(1);
const number = new Float32Array(bits.buffer);

const rounds: Readonly<Record<CacheFormat, Round | undefined>> = {
  f32: undefined,
  f16: (value) => f16Table[numberToF16(value)]!, // every f16 is in the table
  bf16: (value) => {
    bits[0] = numberToBf16(value) << 16;
    return number[0]!; // of one
  },
};
