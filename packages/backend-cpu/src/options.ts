// What a user may choose.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import { defaultCacheFolder } from "@polyllama/planner/packed-weights";
import type { Activations } from "./modes.ts";
import { defaultThreads } from "./native/threads.ts";

/** Options of `cpu()`. */
export interface CpuOptions {
  /**
   * Threads that compute; default: as many as there are physical cores that the process may use.
   */
  readonly threads?: number;
  /**
   * How quantized linears treat their input. `int8`, the default, rounds it to 8 bits per block of 32 and is several
   * times faster; `f32` does not.
   */
  readonly activations?: Activations;
  /**
   * Instruction set of the kernels, by its name; default: the best that the processor has. For tests and comparisons.
   */
  readonly instructionSet?: string;
  /**
   * Folder for packed weights. Default: `polyllama` in the user's folder for caches (`XDG_CACHE_HOME` or ~/.cache;
   * ~/Library/Caches). They are kept where that makes the next load faster: not those of a GGUF, safetensors or llama2.c
   * file whose rows can be read in their order, but those that come from a server or are put in another order; and where
   * they take more memory than the system has, which maps them then. `false` keeps nothing on the disk. On Windows
   * nothing is kept.
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

const optionTypes: OptionSchema<CpuOptions> = {
  threads: option.integer({ least: 1, most: 256 }),
  activations: option.oneOf(["int8", "f32"]),
  instructionSet: option.nonEmptyString,
  cacheFolder: option.either({ ...option.nonEmptyString, expected: "a path" }, option.oneOf([false])),
  cacheLimit: option.number({ least: 0 }),
  onNote: option.function,
};

/** Options with defaults in place. */
export interface ChosenOptions {
  readonly threads: number;
  readonly activations: Activations;
  readonly instructionSet: string | undefined;
  readonly cacheFolder: string | false;
  readonly cacheLimit: number;
  readonly onNote: (note: string) => void;
}

/** @throws {OptionError} */
export function withDefaults(options: CpuOptions): ChosenOptions {
  checkOptions(options, optionTypes, "cpu()");
  const { threads = defaultThreads(), activations = "int8", instructionSet } = options;
  const { cacheFolder = defaultCacheFolder() ?? false, cacheLimit = 32 * 2 ** 30 } = options;
  const { onNote = (note: string) => process.emitWarning(note) } = options;
  return { threads, activations, instructionSet, cacheFolder, cacheLimit, onNote };
}
