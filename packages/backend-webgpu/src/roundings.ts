// What conformance is told of the kernels' arithmetic, and where each statement comes from.

import type { RoundingProfile } from "@polyllama/core";

export const roundings: RoundingProfile = {
  unit: 2 ** -24,
  flushesSubnormals: true,
  exp: 4,
  division: 5,
  inverseSqrt: 4,
  cache: "f32",
  sources: [
    "WGSL, section 15.7.4 (floating point accuracy): addition, subtraction and multiplication of f32 are correctly rounded, and may be contracted and reordered; Vulkan, Direct3D 12 and Metal round them to the nearest.",
    "WGSL, section 15.7.4: division within 2.5 ULP for divisors from 2^-126 to 2^126, inverseSqrt within 2 ULP; an ULP is up to two units.",
    "WGSL, section 15.7.3 (floating point evaluation): subnormal operands and results may become zero.",
    "kernels/math.wgsl: exp is a polynomial of degree 6 behind an exact reduction; its own error is below 0.3 units, its last operations and the reduction make it at most 4. WGSL's exp (3 + 2 |x| ULP) is not used.",
    "kernels/math.wgsl: the natural logarithm is a series behind an exact reduction, within a unit of 1 + its size; WGSL's log (2^-21 around 1) is not used.",
    "kernels/attention_rows.wgsl: maxima of scores in base 2 are integers, so that rescaling is exact.",
    "Cosines and sines: float64 on the host, rounded to f32 once.",
  ],
};
