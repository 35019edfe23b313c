// What a backend rounds inputs of linears to. Where that is coarser than f32, few tokens of a random model are beyond
// rounding, and that is no fault.

import type { FormatName, RoundingProfile } from "@polyllama/core";

export type Activations = "f32" | "f16" | "int8";

/** The coarsest, for weights of these formats. */
export function roundedActivations(
  { int8Activations, tensorCores }: RoundingProfile,
  formats: readonly FormatName[],
): Activations {
  if (formats.some((format) => int8Activations?.formats.includes(format))) return "int8";
  return formats.some((format) => tensorCores?.formats.includes(format)) ? "f16" : "f32";
}
