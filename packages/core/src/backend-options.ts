// The options that all backends take alike, described once.

import type { CacheOptions, CompileOptions, RunOptions, Wanted } from "./backend.ts";
import { type OptionSchema, option } from "./option-types.ts";

const lastRows = option.object<Exclude<Wanted, string>>({ value: option.string, rows: option.oneOf(["last"]) });

/** What each option of `Backend.compile` takes. */
export const compileOptionTypes: OptionSchema<CompileOptions> = {
  wanted: option.list(
    option.either(option.string, lastRows),
    'a list of names of values, or of { value, rows: "last" }',
  ),
  onProgress: option.function,
  signal: option.signal,
};

/** What each option of `Program.createCache` takes. */
export const cacheOptionTypes: OptionSchema<CacheOptions> = { format: option.oneOf(["f32", "f16", "bf16"]) };

/** What each option of `Program.run` takes. */
export const runOptionTypes: OptionSchema<RunOptions> = { signal: option.signal };
