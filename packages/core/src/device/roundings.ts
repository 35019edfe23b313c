// What a device loses beyond exact arithmetic, which is what bounds are derived from.

import type { FormatName, OffsetFormatName } from "../formats.ts";
import type { CacheFormat } from "./cache.ts";

/**
 * The roundings that a backend makes beyond exact arithmetic. Bounds are derived from it, so each entry carries the
 * source that entitles to it.
 */
export interface RoundingProfile {
  /** Unit roundoff of sums and elementwise results: 2^-53 for float64, 2^-24 for f32. */
  readonly unit: number;
  /** Whether subnormal results may become zero. */
  readonly flushesSubnormals: boolean;
  /** Relative error, in units, of exp as used in softmax and silu. */
  readonly exp: number;
  /** Relative error, in units, of a division; default 1. */
  readonly division?: number;
  /** Relative error, in units, of a reciprocal square root; default 2, a root and a division. */
  readonly inverseSqrt?: number;
  /**
   * Absolute error, in units, of the sigmoid within silu, for kernels that approximate it as a whole: it lies between 0
   * and 1, so that far below zero an absolute error is a large relative one. Default 0.
   */
  readonly sigmoidAbsolute?: number;
  /**
   * Formats s q + m whose values are never formed: `linear` sums s (q - c) x and (c s + m) x apart, where c is the
   * middle of `offsetFormats` of @polyllama/formats, so that its error follows the sizes of both parts and not of their
   * sum.
   */
  readonly apartOffsets?: readonly OffsetFormatName[];
  /**
   * Formats for which `linear` first rounds its input to int8, per block of this many elements with scale absmax / 127.
   */
  readonly int8Activations?: { readonly block: number; readonly formats: readonly FormatName[] };
  /** How `linear` rounds where it is computed on tensor cores. */
  readonly tensorCores?: TensorCoreRounding;
  /**
   * How `linear` and its gradients round in graphs that train, where their operands are rounded to 16 bits; default: as
   * `unit` says.
   */
  readonly trainingProducts?: ProductRounding;
  /** Format of keys and values in the cache. */
  readonly cache: CacheFormat | "f64";
  /** Where each statement comes from. */
  readonly sources: readonly string[];
}

/**
 * How tensor cores cut sums off instead of rounding them: of `group` products and the sum before, each at a step that is
 * `unit` of the largest of them, and then the result at `unit` of itself. Terms are summed in order, but for exchanges
 * within each `columns` of them.
 */
export interface SumTruncation {
  readonly unit: number;
  readonly group: number;
  readonly columns: number;
}

/** What a product of two matrices loses on tensor cores, each operand being rounded to a format with f32's exponents. */
export interface ProductRounding {
  /** Formats of weights that are multiplied so; what has no weight, as a gradient by one, always is. */
  readonly formats: readonly FormatName[];
  /** Unit roundoff of operands: 2^-8 for bf16. */
  readonly unit: number;
  /** Half the least step of operands: 2^-134 for bf16. */
  readonly least: number;
  readonly truncation: SumTruncation;
}

/** What multiplication on tensor cores loses. */
export interface TensorCoreRounding {
  /** Sequences that advance by fewer rows are not computed so. */
  readonly fromRows: number;
  /** Formats of weights that are multiplied so. */
  readonly formats: readonly FormatName[];
  /** Those of them whose values are rounded as inputs are; others only lose what is below the least step. */
  readonly roundedWeights: readonly FormatName[];
  /** Unit roundoff of inputs: 2^-11 for f16. */
  readonly unit: number;
  /** Half the least step of inputs and weights, relative to the largest of their row. */
  readonly least: number;
  readonly truncation: SumTruncation;
  /**
   * `attention` alike, where heads are a multiple of `multiple` up to `most` and the cache has one of these formats:
   * queries, and weights before their division, are rounded as inputs are; keys and values are exact.
   */
  readonly attention?: { readonly caches: readonly CacheFormat[]; readonly multiple: number; readonly most: number };
}
