// The options that all backends take alike, described once.

import type { CacheOptions, CompileOptions, RunOptions } from "./backend.ts";
import { type OptionSchema, option } from "./option-types.ts";

export const compileOptionTypes: OptionSchema<CompileOptions> = {
  wanted: option.list(option.string, "a list of names of values"),
  onProgress: option.function,
  signal: option.signal,
};

export const cacheOptionTypes: OptionSchema<CacheOptions> = { format: option.oneOf(["f32", "f16", "bf16"]) };

export const runOptionTypes: OptionSchema<RunOptions> = { signal: option.signal };
