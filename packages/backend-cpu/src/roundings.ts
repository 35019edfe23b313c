// How far results are from exact arithmetic, with what entitles to each statement.

import type { RoundingProfile } from "@polyllama/core";
import { type Activations, quantizedFormats } from "./modes.ts";

/** By how quantized linears treat their input. */
export function roundings(activations: Activations): RoundingProfile {
  return {
    unit: 2 ** -24,
    flushesSubnormals: false,
    exp: 4,
    cache: "f32",
    ...(activations === "int8" && { int8Activations: { block: 32, formats: quantizedFormats } }),
    sources: [
      "native/kernels/linear_int8.h: products of bytes are summed exactly in 32 bits within 16 or 32 columns, and in f32 " +
        "across; native/kernels/convert.h: the input is rounded to int8 per block of 32, scale absmax / 127.",
      "native/kernels/linear_f32.h: all sums in f32, one column after another.",
      "native/kernels/math.h: exp by a polynomial in f32 whose products and sums are rounded one by one.",
      "Cosines and sines: float64 on the host, rounded to f32 once.",
    ],
  };
}
