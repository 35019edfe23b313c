// Names of the formats that weights are stored in, with the sizes of their blocks: what checks of graphs and the
// roundings of backends need of them. What the bytes of a block mean, @polyllama/formats says.

/** The storage formats that are read. */
export type FormatName =
  | ("f32" | "f16" | "bf16")
  | ("q8_0" | "q4_0" | "q4_1" | "q5_0" | "q5_1" | "iq4_nl")
  | ("q2_k" | "q3_k" | "q4_k" | "q5_k" | "q6_k" | "q8_k");

/** Formats whose values are s q + m, with an offset m beside the scale s of a sub-block. */
export type OffsetFormatName = "q4_1" | "q5_1" | "q2_k" | "q4_k" | "q5_k";

/** How a format cuts a row: values are kept in blocks, and a row is a whole number of them. */
export interface BlockSize {
  /** Values in a block. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
}

/** The blocks of every format, by name. */
export const blockSizes: Readonly<Record<FormatName, BlockSize>> = {
  f32: { blockSize: 1, blockBytes: 4 },
  f16: { blockSize: 1, blockBytes: 2 },
  bf16: { blockSize: 1, blockBytes: 2 },
  q8_0: { blockSize: 32, blockBytes: 34 },
  q4_0: { blockSize: 32, blockBytes: 18 },
  q4_1: { blockSize: 32, blockBytes: 20 },
  q5_0: { blockSize: 32, blockBytes: 22 },
  q5_1: { blockSize: 32, blockBytes: 24 },
  iq4_nl: { blockSize: 32, blockBytes: 18 },
  q2_k: { blockSize: 256, blockBytes: 84 },
  q3_k: { blockSize: 256, blockBytes: 110 },
  q4_k: { blockSize: 256, blockBytes: 144 },
  q5_k: { blockSize: 256, blockBytes: 176 },
  q6_k: { blockSize: 256, blockBytes: 210 },
  q8_k: { blockSize: 256, blockBytes: 292 },
};

/** Bytes that `elements` values take; `elements` must be whole blocks. */
export function formatBytes(name: FormatName, elements: number): number {
  const { blockSize, blockBytes } = blockSizes[name];
  return (elements / blockSize) * blockBytes;
}
