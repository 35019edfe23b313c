// Launches of repack.cu: one per plane of a matrix, for a piece of its rows.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs, Launch } from "../launch.ts";

const parameters = struct({
  from: u64,
  to: u64,
  note: u64,
  from_pitch: u32,
  offset: u32,
  size: u32,
  to_pitch: u32,
  blocks: u32,
  words: u32,
  bit: u32,
  exponent: u32,
  piece: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** Sizes in bytes, all even. */
export interface Repack {
  readonly from: Handle;
  readonly to: Handle;
  /** Where a piece that is not finite is noted, by its number. */
  readonly note: Handle;
  readonly piece: number;
  readonly blocks: number;
  /** Bytes of a block as stored, and of its field in the plane. */
  readonly fromPitch: number;
  readonly toPitch: number;
  /** The field within the block. */
  readonly offset: number;
  readonly size: number;
  /**
   * Numbers at the beginning of the field that must be finite, and the bits of their exponents in the last two bytes of
   * each.
   */
  readonly checked: { readonly count: number; readonly bytes: 2 | 4; readonly exponent: number };
}

export function repack({ from, to, note, piece, blocks, fromPitch, toPitch, offset, size, checked }: Repack): Launch {
  return {
    image: "repack",
    kernel: "repack",
    grid: [Math.ceil((blocks * toPitch) / 2 / 256), 1, 1],
    threads: 256,
    parameters: parameters.encode({
      from,
      to,
      note,
      from_pitch: fromPitch / 2,
      offset: offset / 2,
      size: size / 2,
      to_pitch: toPitch / 2,
      blocks,
      words: (checked.count * checked.bytes) / 2,
      bit: checked.bytes === 4 ? 1 : 0,
      exponent: checked.exponent,
      piece,
    }),
  };
}
