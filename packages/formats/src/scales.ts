// Block scales are binary16 at fixed places within each block.

import { f16Table } from "./float.ts";

/** The binary16 value at a byte offset. */
export function f16At(bytes: Uint8Array, offset: number): number {
  return f16Table[bytes[offset]! | (bytes[offset + 1]! << 8)]!;
}

/** Index of the first block with a NaN or infinite scale, or -1. `offsets` are the scales' places within a block. */
export function findNonFiniteScale(bytes: Uint8Array, blockBytes: number, offsets: readonly number[]): number {
  for (let start = 0, block = 0; start < bytes.length; start += blockBytes, block++) {
    for (const offset of offsets) if ((bytes[start + offset + 1]! & 0x7c) === 0x7c) return block;
  }
  return -1;
}
