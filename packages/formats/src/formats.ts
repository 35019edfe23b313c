// Every format in which weights are stored, by name. Values are kept in blocks along a row; a block of a quantized
// format shares scales. The layouts and the f32 values they stand for are those of ggml.

import type { FormatName } from "@polyllama/core";
import { bf16, f16, f32 } from "./float.ts";
import type { Format } from "./format.ts";
import { iq4_nl } from "./iq4_nl.ts";
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

/** Every format, by name. */
export const formats: Readonly<Record<FormatName, Format>> = {
  f32,
  f16,
  bf16,
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
