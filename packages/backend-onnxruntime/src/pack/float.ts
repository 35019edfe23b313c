// f32, f16 and bf16 as f32: ONNX Runtime's CPU kernels for half precision would round activations as well. Matrices of
// 16-bit checkpoints therefore take twice their file's size in memory.

import type { FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { type Packer, reals } from "./packer.ts";

export function floatPacker(format: FormatName): Packer {
  return {
    bits: 32,
    block: 1,
    parts: (columns) => [{ name: "values", type: "f32", bytesPerRow: columns * 4, shape: (rows) => [rows, columns] }],
    pack: (bytes, [values]) => formats[format].dequantize(bytes, reals(values!)),
  };
}
