// How each stored format is packed.

import type { FormatName } from "@polyllama/core";
import { floatPacker } from "./float.ts";
import { iq4_nl } from "./iq4_nl.ts";
import type { Packer } from "./packer.ts";
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
import { split } from "./split.ts";

export type { Packer, PartName, PartSpec } from "./packer.ts";
export { floatPacker };

/** How quantized linears treat their input. */
export type Activations = "int8" | "f32";

const int8: Readonly<Record<FormatName, Packer>> = {
  f32: floatPacker("f32"),
  f16: floatPacker("f16"),
  bf16: floatPacker("bf16"),
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

/** The 8-bit ones are split for f32 activations. */
const f32: Readonly<Record<FormatName, Packer>> = {
  ...int8,
  q8_0: split(q8_0),
  q5_0: split(q5_0),
  q5_1: split(q5_1),
  iq4_nl: split(iq4_nl),
  q5_k: split(q5_k),
  q6_k: split(q6_k),
  q8_k: split(q8_k),
};

export const packers: Readonly<Record<Activations, Readonly<Record<FormatName, Packer>>>> = { int8, f32 };

/** Raised whenever packed bytes change, so that older cache entries are not read. */
export const packingVersion = 1;
