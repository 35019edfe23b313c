// Options of the CUDA backend.

import { type OptionSchema, option } from "@polyllama/core";
import { gpuOptionTypes } from "./gpu.ts";
import { type CudaCacheFormat, cacheFormats } from "./kernels/row.ts";

const trainingFormats = ["f32", "bf16"] as const;

/** What training multiplies. */
export type TrainingFormat = (typeof trainingFormats)[number];

/** Options of `cuda()`. */
export interface CudaOptions {
  /**
   * How prompts (sequences that advance by more than eight rows) meet weights that are not f32: `f16`, the default,
   * rounds both to f16 for tensor cores, on cards that have them in the form that is used (compute capability 8.0 and
   * later), and is many times faster; `f32` rounds neither. Decoding is in f32 always.
   */
  readonly activations?: "f16" | "f32";
  /**
   * What training rounds the operands of linears and of their gradients to: `f32`, the default, rounds none; `bf16` has
   * tensor cores multiply them, many times faster, on cards of compute capability 8.0 and later, others refuse to train.
   * Sums, weights, log-probabilities, gradients and what the optimizer keeps are f32 either way. Weights that are not
   * f32, as of a model that adapters are trained for, are multiplied in f32.
   */
  readonly training?: TrainingFormat;
  /**
   * Format of keys and values where a pool is not told one, as by `Llama`; default f32. `f16` halves what a
   * context takes, is what lets the attention of prompts use tensor cores (with activations in f16), and cannot hold
   * numbers beyond 65,504.
   */
  readonly cache?: CudaCacheFormat;
  /** Number of the card, as the driver counts; default 0. */
  readonly device?: number;
  /** The driver's library; default: where the system has it. */
  readonly library?: string;
  /** Folder of kernel images; default: those of this package. */
  readonly images?: string;
}

export const cudaOptionTypes: OptionSchema<CudaOptions> = {
  ...gpuOptionTypes,
  activations: option.oneOf(["f16", "f32"]),
  training: option.oneOf(trainingFormats),
  cache: option.oneOf(cacheFormats),
};
