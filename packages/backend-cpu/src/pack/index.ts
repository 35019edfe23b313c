// How each stored format is packed.

import type { FormatName } from "@polyllama/core";
import { floatPacker } from "./float.ts";
import type { Packer } from "./packer.ts";
import { q4_0 } from "./q4_0.ts";
import { q4_k } from "./q4_k.ts";
import { q6_k } from "./q6_k.ts";
import { q8_0 } from "./q8_0.ts";
import { split } from "./split.ts";

export type { Packer, PartName, PartSpec } from "./packer.ts";
export { floatPacker };

/** How quantized linears treat their input. */
export type Activations = "int8" | "f32";

export const packers: Readonly<Record<Activations, Readonly<Record<FormatName, Packer>>>> = {
  int8: { f32: floatPacker("f32"), f16: floatPacker("f16"), bf16: floatPacker("bf16"), q8_0, q4_0, q4_k, q6_k },
  f32: {
    f32: floatPacker("f32"),
    f16: floatPacker("f16"),
    bf16: floatPacker("bf16"),
    q8_0: split(q8_0),
    q4_0,
    q4_k,
    q6_k: split(q6_k),
  },
};

/** Raised whenever packed bytes change, so that older cache entries are not read. */
export const packingVersion = 1;
