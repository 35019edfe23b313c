// A number for the declarations of structs, steps and formats: library and host compare theirs before they talk.

import { cacheFormatNumbers, formatNumbers } from "./formats.ts";
import { draw, row, run, sequence, stepBytes, steps, unrotated } from "./structs.ts";

const declared = { run, row, sequence, draw, steps, stepBytes, unrotated, formatNumbers, cacheFormatNumbers };

/** FNV-1a of the declarations as JSON, in their order. */
export const structsHash: number = [...JSON.stringify(declared)].reduce(
  (hash, letter) => Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16777619) >>> 0,
  2166136261,
);
