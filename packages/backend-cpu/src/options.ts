// What a user may choose.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
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
}

const optionTypes: OptionSchema<CpuOptions> = {
  threads: option.integer({ least: 1, most: 256 }),
  activations: option.oneOf(["int8", "f32"]),
  instructionSet: option.nonEmptyString,
};

/** Options with defaults in place. */
export interface ChosenOptions {
  readonly threads: number;
  readonly activations: Activations;
  readonly instructionSet: string | undefined;
}

/** @throws {OptionError} */
export function withDefaults(options: CpuOptions): ChosenOptions {
  checkOptions(options, optionTypes, "cpu()");
  const { threads = defaultThreads(), activations = "int8", instructionSet } = options;
  return { threads, activations, instructionSet };
}
