// Values into blocks. The results equal those of ggml's reference quantizers byte for byte, so that a file quantized here
// and one quantized by llama.cpp hold the same weights.

import { formatBytes, formats, PolyllamaError } from "@polyllama/core";
import { quantizeQ4_0 } from "./q4_0.ts";
import { quantizeQ8_0 } from "./q8_0.ts";

/** Formats that weights can be quantized to. */
export type QuantizedFormat = "q8_0" | "q4_0";

const quantizers: Readonly<Record<QuantizedFormat, (values: Float32Array, output: Uint8Array) => void>> = {
  q8_0: quantizeQ8_0,
  q4_0: quantizeQ4_0,
};

/**
 * Blocks of values, whose number must be a multiple of 32. NaN and infinities give blocks that mean nothing: check first.
 *
 * @throws {PolyllamaError} `ERR_OPTION`
 */
export function quantize(format: QuantizedFormat, values: Float32Array): Uint8Array<ArrayBuffer> {
  checkQuantizedFormat(format);
  if (values.length % formats[format].blockSize !== 0) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `${values.length} values are not whole blocks of ${formats[format].blockSize}.`,
    );
  }
  const output = new Uint8Array(formatBytes(format, values.length));
  quantizers[format](values, output);
  return output;
}

/** @throws {PolyllamaError} `ERR_OPTION` for a format that there is no quantizer for. */
export function checkQuantizedFormat(format: QuantizedFormat): void {
  if (Object.hasOwn(quantizers, format)) return;
  throw new PolyllamaError(
    "ERR_OPTION",
    `Weights cannot be quantized to "${format}" here. Known formats: ${Object.keys(quantizers).join(", ")}.`,
  );
}
