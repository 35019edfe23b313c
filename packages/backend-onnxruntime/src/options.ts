// What a user may choose.

import { availableParallelism } from "node:os";
import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import { defaultCacheFolder } from "@polyllama/planner/packed-weights";

/** Options of `onnxruntime()`. */
export interface OnnxRuntimeOptions {
  /** Threads that compute; default: as many as the process may run at once. */
  readonly threads?: number;
  /**
   * How quantized linears treat their input. `int8`, the default, rounds it to 8 bits per block of 32 (16 for q2_k,
   * q3_k and q6_k) and is several times faster; `f32` does not.
   */
  readonly activations?: "int8" | "f32";
  /**
   * Folder for packed weights. Default: `polyllama` in the user's folder for caches (`XDG_CACHE_HOME` or ~/.cache;
   * ~/Library/Caches; `LOCALAPPDATA`). `false` packs into a private temporary
   * folder at every load and removes it when the parameters are freed. So does, with a note, a folder that cannot be
   * written.
   */
  readonly cacheFolder?: string | false;
  /** Bytes that all packed weights may take in the folder; the least recently used go first. Default: 32 GiB. */
  readonly cacheLimit?: number;
  /**
   * Gets what people should know, as sentences: that packed weights were damaged and are packed again, that the cache
   * cannot be written. Default: a warning of the process.
   */
  readonly onNote?: (note: string) => void;
}

const optionTypes: OptionSchema<OnnxRuntimeOptions> = {
  threads: option.integer({ least: 1, most: 1024 }),
  activations: option.oneOf(["int8", "f32"]),
  cacheFolder: option.either({ ...option.nonEmptyString, expected: "a path" }, option.oneOf([false])),
  cacheLimit: option.number({ least: 0 }),
  onNote: option.function,
};

/** @throws {OptionError} */
export function withDefaults(options: OnnxRuntimeOptions): Required<OnnxRuntimeOptions> {
  checkOptions(options, optionTypes, "onnxruntime()");
  const { threads = availableParallelism(), activations = "int8" } = options;
  const { cacheFolder = defaultCacheFolder() ?? false, cacheLimit = 32 * 2 ** 30 } = options;
  const { onNote = (note: string) => process.emitWarning(note) } = options;
  return { threads, activations, cacheFolder, cacheLimit, onNote };
}
