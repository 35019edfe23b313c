// Formats in which weights are stored. Values are kept in blocks along a row; a block of a quantized format shares scales.
// The layouts and the f32 values they stand for are those of ggml.

export { f16Table, numberToBf16, numberToF16, words16, words32 } from "./float.ts";
export { iq4nlValues } from "./iq4_nl.ts";
export { type OffsetFormat, type OffsetFormatName, offsetFormats } from "./offsets.ts";
export { q2kQuant } from "./q2_k.ts";
export { q3kQuant, q3kScale } from "./q3_k.ts";
export { q4kMinimum, q4kScale } from "./q4_k.ts";
export { q5Quant } from "./q5_0.ts";
export { q5kQuant } from "./q5_k.ts";
export { q6kQuant } from "./q6_k.ts";
export { q8kScale } from "./q8_k.ts";
export { f16At } from "./scales.ts";

import { bf16, f16, f32 } from "./float.ts";
import type { Format } from "./format.ts";
import { iq4_nl } from "./iq4_nl.ts";
import { q2_k } from "./q2_k.ts";
import { q3_k } from "./q3_k.ts";
import { q4_0 } from "./q4_0.ts";
import { q4_1 } from "./q4_1.ts";
import { q4_k } from "./q4_k.ts";
import { q5_0 } from "./q5_0.ts";
import { q5_1 } from "./q5_1.ts";
import { q5_k } from "./q5_k.ts";
import { q6_k } from "./q6_k.ts";
import { q8_0 } from "./q8_0.ts";
import { q8_k } from "./q8_k.ts";

export type { Format } from "./format.ts";

/** The storage formats that are read. */
export type FormatName =
  | ("f32" | "f16" | "bf16")
  | ("q8_0" | "q4_0" | "q4_1" | "q5_0" | "q5_1" | "iq4_nl")
  | ("q2_k" | "q3_k" | "q4_k" | "q5_k" | "q6_k" | "q8_k");

/** Every format, by name. */
export const formats: Readonly<Record<FormatName, Format>> = {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  iq4_nl,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  q8_k,
};

/** Bytes that `elements` values take; `elements` must be whole blocks. */
export function formatBytes(name: FormatName, elements: number): number {
  const { blockSize, blockBytes } = formats[name];
  return (elements / blockSize) * blockBytes;
}
