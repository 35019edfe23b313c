// @polyllama/formats: the formats in which weights are stored, block by block: their layout, their values, quantizing
// into them, and the check for NaN and infinities. Names and sizes of blocks are core's.

// Layout and values
export type { Format } from "./format.ts";
export { formats } from "./formats.ts";
export { type OffsetFormat, offsetFormats } from "./offsets.ts";
// The check
export { assertFinite } from "./finite.ts";
// All values of weights
export { asF32, type LoadValuesOptions, loadValues, readValues, type WeightValues } from "./read-values.ts";
// Quantizing
export type { QuantizedFormat, WritableFormat } from "./quantize/quantize.ts";
export {
  checkBlocks,
  checkQuantizedFormat,
  formatForRows,
  isWritable,
  quantizedFormats,
  quantizeRows,
} from "./quantize/quantize.ts";
// Parts of blocks, for what packs them anew
export { f16Table, numberToBf16, numberToF16, words16 } from "./float.ts";
export { iq4nlValues } from "./iq4_nl.ts";
export { q3kScale } from "./q3_k.ts";
export { q4kMinimum, q4kScale } from "./q4_k.ts";
export { q8kScale } from "./q8_k.ts";
export { f16At } from "./scales.ts";
