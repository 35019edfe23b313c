// How far results are from exact arithmetic, with what entitles to each statement.

import type { OffsetFormatName, RoundingProfile } from "@polyllama/core";
import { formats, offsetFormats } from "@polyllama/formats";
import type { Activations } from "./pack/index.ts";

const quantizedFormats = Object.values(formats)
  .filter(({ blockSize }) => blockSize > 1)
  .map(({ name }) => name);

/** By how quantized linears treat their input. */
export function roundings(activations: Activations): RoundingProfile {
  return {
    unit: 2 ** -24,
    flushesSubnormals: false,
    exp: 4,
    sigmoidAbsolute: 4,
    apartOffsets: Object.keys(offsetFormats) as OffsetFormatName[], // the record's own keys
    ...(activations === "int8" && { int8Activations: { block: 32, formats: quantizedFormats } }),
    cache: "f32",
    sources: [
      "ONNX Runtime 1.30, MatMulNBits, accuracy_level 4: the input is rounded to int8 per block of the weight's block size (32; 16 for q2_k, q3_k and q6_k), scale absmax / 127; sums in int32 within a block and f32 across. accuracy_level 1: f32 throughout. Both compared with an emulation on x86-64 (AVX2, AVX-512).",
      "Formats with offsets, s q + m: s (q - c) is multiplied with the rounded input, c s + m with unrounded f32 sums of each block; c is 2 for q2_k, 16 for q5_1 and q5_k, 8 for q4_1 and q4_k.",
      "ONNX Runtime 1.30, GroupQueryAttention and SimplifiedLayerNormalization on CPU: f32 in MLAS; exp by polynomial.",
      "ONNX Runtime 1.30, QuickGelu: MlasComputeLogistic clamps its argument to [-18, 18] and evaluates a rational function about 1/2, so that the sigmoid's error is a few units of 1, not of itself.",
      "Cosines and sines: float64 on the host, rounded to f32 once.",
    ],
  };
}
