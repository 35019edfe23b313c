// What a storage format is to the rest of the project.

import type { BlockSize, FormatName } from "@polyllama/core";

/** A storage format: its layout and its values, those of ggml to the last bit. */
export interface Format extends BlockSize {
  readonly name: FormatName;
  /** Number of ggml's type, as GGUF files carry it. */
  readonly ggmlType: number;
  /**
   * Writes the f32 values of whole blocks, equal to ggml's to the last bit. `bytes` may start at any offset of its
   * buffer; `output` has `bytes.length / blockBytes * blockSize` elements.
   */
  dequantize(bytes: Uint8Array, output: Float32Array): void;
  /**
   * Index of the first block that stands for a NaN or an infinity, or -1. Looks at scales alone where a block has some.
   */
  findNonFinite(bytes: Uint8Array): number;
}
