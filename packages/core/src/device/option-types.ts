// The options that all devices take alike, described once.

import { type OptionSchema, option } from "../option-types.ts";
import type { CompileProgramOptions, LoadParametersOptions, PoolSize } from "./device.ts";

/** What each option of `Device.loadParameters` takes. */
export const loadParametersOptionTypes: OptionSchema<LoadParametersOptions> = {
  mutable: option.boolean,
  onProgress: option.function,
  signal: option.signal,
};

/** What each entry of a pool's size takes. */
export const poolSizeTypes: OptionSchema<PoolSize> = {
  rows: { ...option.integer({ least: 1, most: 2 ** 31 - 1 }), required: true },
  sequences: option.integer({ least: 1, most: 2 ** 20 }),
  format: option.oneOf(["f32", "f16", "bf16", "q8_0"]),
};

/** What each option of `Device.compile` takes. */
export const compileProgramOptionTypes: OptionSchema<CompileProgramOptions> = {
  outputs: option.list(option.anyObject, "a list of outputs, { value, to, rows }"),
  onProgress: option.function,
  signal: option.signal,
};
