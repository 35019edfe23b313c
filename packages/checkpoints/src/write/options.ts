// What writers of checkpoints take and give.

import { type OptionSchema, type OptionType, option, type Progress, type WeightSource } from "@polyllama/core";
import type { StoredTensor } from "../checkpoint.ts";
import { type FormatOptions, formatOptionTypes, type PlannedTensor } from "./formats.ts";
import type { TextContent } from "./gguf-text.ts";

/** What files are written from; every checkpoint is it. */
export interface WriteContent extends WeightSource, TextContent {
  readonly stored?: readonly StoredTensor[];
}

/** Options of `writeSafetensors` and `writeGguf`. */
export interface WriteOptions extends FormatOptions {
  /** Most bytes of tensors in one file. Default: 5 GB in a folder; a single file where the destination is one. */
  readonly shardBytes?: number;
  /** Replace what is there. Default false. */
  readonly overwrite?: boolean;
  /** Threads that convert. Default: as many as the process may run at once. */
  readonly threads?: number;
  /** Bytes written so far. */
  readonly onProgress?: (progress: Progress) => void;
  /** What a user should know that is no failure: leftovers of a killed run, formats that rows did not fit. */
  readonly onNote?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface Written {
  /** Paths of the files with tensors, in order. */
  readonly files: readonly string[];
  readonly bytes: number;
  readonly tensors: readonly PlannedTensor[];
}

/** What each option of {@link WriteOptions} takes. */
export const writeOptionTypes: OptionSchema<WriteOptions> = {
  ...formatOptionTypes,
  shardBytes: {
    expected: "a number of bytes, at least 1",
    accepts: (value) => typeof value === "number" && value >= 1,
  },
  overwrite: option.boolean,
  threads: option.integer({ least: 1, most: 1024 }),
  onProgress: option.function,
  onNote: option.function,
  signal: option.signal,
};

/** Where to write. */
export const destinationType: OptionType = { ...option.nonEmptyString, expected: "a path", required: true };
