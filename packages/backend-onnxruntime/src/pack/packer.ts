// What a packer is: it turns rows of a stored format into the arrays that ONNX Runtime's operators read. Every array
// holds the same number of bytes per row, so that rows of any chunk, of any tensor stacked into one matrix, have their
// place.

import type { ElementType } from "../ort/api.ts";

/** `offsets`: see q4_k.ts; `low...`: see split.ts. */
export type PartName = "values" | "scales" | "offsets" | "lowValues" | "lowScales" | "lowZeroPoints";

/** One array of a packed matrix. */
export interface PartSpec {
  readonly name: PartName;
  readonly type: ElementType;
  readonly bytesPerRow: number;
  /** Shape for a number of rows, as the operator wants it. */
  shape(rows: number): readonly number[];
}

export interface Packer {
  /** Bits of a stored value; 32 for plain f32 matrices. */
  readonly bits: 4 | 8 | 32;
  /** Values along a row that share a scale. */
  readonly block: number;
  /** The arrays for rows of `columns` values. */
  parts(columns: number): readonly PartSpec[];
  /** Writes whole rows; `outputs` follow `parts` and have room for exactly these rows. */
  pack(bytes: Uint8Array, outputs: readonly Uint8Array<ArrayBuffer>[]): void;
}

/** The arrays of `MatMulNBits`: values [rows, blocks, bytes of a block] and f32 scales [rows * blocks]. */
export function quantizedParts(bits: 4 | 8, block: number, columns: number): readonly PartSpec[] {
  const blocks = columns / block;
  const blockBytes = (block * bits) / 8;
  return [
    {
      name: "values",
      type: "u8",
      bytesPerRow: blocks * blockBytes,
      shape: (rows) => [rows, blocks, blockBytes],
    },
    { name: "scales", type: "f32", bytesPerRow: blocks * 4, shape: (rows) => [rows * blocks] },
  ];
}

/** The f32 matrix of offsets [rows, blocks]. */
export function offsetsPart(block: number, columns: number): PartSpec {
  const blocks = columns / block;
  return { name: "offsets", type: "f32", bytesPerRow: blocks * 4, shape: (rows) => [rows, blocks] };
}

/** The f32 values in which scales and offsets are written. */
export function reals(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
}
