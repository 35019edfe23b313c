// Values into a stored format. Where a format leaves no choice, Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1, the bytes equal those
// of ggml's reference quantizers, so that a file quantized here and one quantized by llama.cpp hold the same weights.

import { type FormatName, formatBytes, PolyllamaError } from "@polyllama/core";
import { formats } from "../formats.ts";
import { copyF32, roundToBf16, roundToF16 } from "./float.ts";
import { quantizeQ4_0 } from "./q4_0.ts";
import { quantizeQ4_1 } from "./q4_1.ts";
import { quantizeQ4_K } from "./q4_k.ts";
import { quantizeQ5_0 } from "./q5_0.ts";
import { quantizeQ5_1 } from "./q5_1.ts";
import { quantizeQ5_K } from "./q5_k.ts";
import { quantizeQ6_K } from "./q6_k.ts";
import { quantizeQ8_0 } from "./q8_0.ts";

/** Formats that matrices can be quantized to. */
export type QuantizedFormat = "q8_0" | "q4_0" | "q4_1" | "q5_0" | "q5_1" | "q4_k" | "q5_k" | "q6_k";

/** Formats that values can be written in. */
export type WritableFormat = "f32" | "f16" | "bf16" | QuantizedFormat;

const writers: Readonly<Record<WritableFormat, (values: Float32Array, output: Uint8Array) => void>> = {
  f32: copyF32,
  f16: roundToF16,
  bf16: roundToBf16,
  q8_0: quantizeQ8_0,
  q4_0: quantizeQ4_0,
  q4_1: quantizeQ4_1,
  q5_0: quantizeQ5_0,
  q5_1: quantizeQ5_1,
  q4_k: quantizeQ4_K,
  q5_k: quantizeQ5_K,
  q6_k: quantizeQ6_K,
};

/** The formats that matrices can be quantized to, in order. */
export const quantizedFormats: readonly QuantizedFormat[] = (Object.keys(writers) as WritableFormat[]).filter(
  (format) => formats[format].blockSize > 1, // the record's own keys, less the float formats
) as QuantizedFormat[];

/**
 * Rows of values in a stored format; their number must be whole blocks. NaN and infinities give blocks that mean
 * nothing, and f16 and the binary16 scales of blocks overflow: check values before and the result after with
 * `assertFinite`.
 *
 * @throws {PolyllamaError} `ERR_OPTION`
 */
export function quantizeRows(values: Float32Array, format: WritableFormat): Uint8Array<ArrayBuffer> {
  checkBlocks(values, format);
  const output = new Uint8Array(formatBytes(format, values.length));
  writers[format](values, output);
  return output;
}

/** @throws {PolyllamaError} `ERR_OPTION` for values that {@link quantizeRows} cannot write. */
export function checkBlocks(values: Float32Array, format: WritableFormat): void {
  if (!isWritable(format)) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `Weights cannot be written as "${format}" here. Known formats: ${Object.keys(writers).join(", ")}.`,
    );
  }
  const { blockSize } = formats[format as WritableFormat];
  if (values.length % blockSize === 0) return;
  throw new PolyllamaError("ERR_OPTION", `${values.length} values are not whole blocks of ${blockSize}.`);
}

const withShorterBlocks: Readonly<Partial<Record<QuantizedFormat, QuantizedFormat>>> = {
  q4_k: "q5_0",
  q5_k: "q5_1",
  q6_k: "q8_0",
};

/**
 * The format for rows of this many values where another one is wanted: that one; or, for rows that are not whole blocks
 * of 256, the next better one with blocks of 32, as llama.cpp chooses it; or none.
 */
export function formatForRows(columns: number, wanted: QuantizedFormat): QuantizedFormat | undefined {
  if (columns % formats[wanted].blockSize === 0) return wanted;
  const other = withShorterBlocks[wanted];
  return other === undefined ? undefined : formatForRows(columns, other);
}

/** Whether values can be written in a format. */
export function isWritable(format: FormatName): format is WritableFormat {
  return Object.hasOwn(writers, format);
}

/** @throws {PolyllamaError} `ERR_OPTION` for a format that there is no quantizer for. */
export function checkQuantizedFormat(format: QuantizedFormat): void {
  if (quantizedFormats.includes(format)) return;
  throw new PolyllamaError(
    "ERR_OPTION",
    `Weights cannot be quantized to "${format}" here. Known formats: ${quantizedFormats.join(", ")}.`,
  );
}
