// Formats in which weights are stored. Values are kept in blocks along a row; a block of a quantized format shares scales.
// The layouts and the f32 values they stand for are those of ggml.

export { f16Table, numberToBf16, numberToF16, words16, words32 } from "./float.ts";
export { q4kMinimum, q4kScale } from "./q4_k.ts";
export { q6kQuant } from "./q6_k.ts";
export { f16At } from "./scales.ts";

import { bf16, f16, f32 } from "./float.ts";
import type { Format } from "./format.ts";
import { q4_0 } from "./q4_0.ts";
import { q4_k } from "./q4_k.ts";
import { q6_k } from "./q6_k.ts";
import { q8_0 } from "./q8_0.ts";

export type { Format } from "./format.ts";

export type FormatName = "f32" | "f16" | "bf16" | "q8_0" | "q4_0" | "q4_k" | "q6_k";

/** Every format, by name. */
export const formats: Readonly<Record<FormatName, Format>> = { f32, f16, bf16, q8_0, q4_0, q4_k, q6_k };

/** Bytes that `elements` values take; `elements` must be whole blocks. */
export function formatBytes(name: FormatName, elements: number): number {
  const { blockSize, blockBytes } = formats[name];
  return (elements / blockSize) * blockBytes;
}
