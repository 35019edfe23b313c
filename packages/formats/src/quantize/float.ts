// The unquantized formats as targets, so that every tensor can be written in any format by the same call.

import { numberToBf16, numberToF16 } from "../float.ts";

export function copyF32(values: Float32Array, output: Uint8Array): void {
  output.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** Nearest values, ties to even; beyond 65,519 infinities. */
export function roundToF16(values: Float32Array, output: Uint8Array): void {
  const halves = new Uint16Array(output.buffer, output.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) halves[i] = numberToF16(values[i]!);
}

/** Nearest values, ties to even. */
export function roundToBf16(values: Float32Array, output: Uint8Array): void {
  const halves = new Uint16Array(output.buffer, output.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) halves[i] = numberToBf16(values[i]!);
}
