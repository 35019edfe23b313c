// The contract between the model and what computes it. A backend compiles any graph of the seven operations, a single
// one as well as the whole model, and any named value of it can be asked for: conformance, hidden states and layer-by-layer
// comparison stand on that. Keys and values live in caches that the caller owns, one per sequence, which rewind and fork.
// One run may advance any number of sequences, each by its own number of rows: prefill, decode, chunked prefill and
// continuous batching are the same call.
//
// A backend that cannot do something throws `ERR_UNSUPPORTED`, naming the operation, the shapes, the format and the remedy.
// It never computes something else instead, and an option that it accepts is honoured.

import type { ContextOverflowError } from "./errors.ts";
import type { FormatName, OffsetFormatName } from "./formats.ts";
import type { Graph, ValueName, WeightName } from "./graph.ts";
import type { DrawOptions } from "./sampling/sample.ts";
import type { WeightInfo, WeightSource } from "./weights.ts";

/** What computes: compiles graphs into programs. See the opening comment of this file for the contract. */
export interface Backend extends AsyncDisposable {
  /** Short name, as it stands in package names: "onnxruntime". */
  readonly name: string;
  /** What conformance may assume of each operation's rounding. */
  readonly roundings: RoundingProfile;
  /** The device, for people. */
  describe(): DeviceInfo;
  /** Bytes that the device has left, where that is limited and known. */
  readonly availableMemory?: number | undefined;
  /** Bytes that compiling and running would take, before anything is loaded. */
  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, capacity: number): MemoryEstimate;
  /**
   * Loads the weights and prepares the graph. The source must stay readable until the program is disposed.
   *
   * @throws {PolyllamaError} `ERR_UNSUPPORTED`; `CheckpointError` for missing, misshapen, NaN or infinite weights.
   */
  compile(graph: Graph, weights: WeightSource, options?: CompileOptions): Promise<Program>;
}

/** Options of `Backend.compile`. */
export interface CompileOptions {
  /** What runs will ask for; default: the graph's outputs, of all rows. Others may be asked for, at the price of compiling again. */
  readonly wanted?: readonly Wanted[];
  /** Weights loaded so far, in bytes. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Progress of long work. */
export interface Progress {
  /** What is being done, as a short phrase: "packing weights". */
  readonly phase: string;
  /** What is done, in the phase's own unit. */
  readonly done: number;
  /** What there is to do, in the same unit; 0 where nobody knows. */
  readonly total: number;
  /** Default: bytes. Steps are of unequal length and say only how far it is. */
  readonly unit?: "bytes" | "files" | "lines" | "pieces" | "steps" | "tokens" | "values";
}

/** A compiled graph. Disposing it frees its weights and caches; calls that still run are awaited first. */
export interface Program extends AsyncDisposable {
  readonly graph: Graph;
  /** A cache for one sequence of up to `capacity` positions. */
  createCache(capacity: number, options?: CacheOptions): KvCache;
  /**
   * Computes values. Rows are those of the step's sequences, one after another.
   *
   * @returns one tensor per wanted entry, in order, owned by the caller.
   * @throws {PolyllamaError} `ERR_GRAPH` for inputs that do not fit, `ERR_BUSY` when a cache is in use by another run;
   * {@link ContextOverflowError}; the signal's reason when aborted. Whenever it throws, the caches keep their old length.
   */
  run(step: Step, wanted: readonly Wanted[], options?: RunOptions): Promise<readonly Tensor[]>;
  /**
   * Continues one sequence by tokens that are chosen where the logits are, for backends whose device is far from the host:
   * several tokens may be under way, and no logits are read back. The tokens are those that a `Sampler` with the same options
   * would choose from the logits of `run`. When the caller stops early, what was computed beyond the last token that it took is
   * forgotten: the cache holds the given tokens and all yielded ones but the last.
   *
   * @throws {PolyllamaError} as `run`; `ERR_BACKEND` for logits that are NaN.
   */
  readonly sample?: ((run: SampleRun, options?: RunOptions) => AsyncGenerator<number, void, undefined>) | undefined;
}

/** What a backend needs to continue a sequence by itself. */
export interface SampleRun {
  /** Keys and values of the sequence; its length plus `tokens` is the position of the first random number. */
  readonly cache: KvCache;
  /** Tokens [N] that are read first, one or more. */
  readonly tokens: Int32Array;
  readonly sampling: DrawOptions;
  /** Most tokens to yield. */
  readonly count: number;
}

/** Options of `Program.run`. */
export interface RunOptions {
  readonly signal?: AbortSignal;
}

/** Format in which keys and values are kept. */
export type CacheFormat = "f32" | "f16" | "bf16";

/** Options of `Program.createCache`. */
export interface CacheOptions {
  /** Default: f32, or what the backend documents. */
  readonly format?: CacheFormat;
}

/** Keys and values of one sequence, for every attention of the graph. */
export interface KvCache extends Disposable {
  /** Positions that hold keys and values. */
  readonly length: number;
  /** Positions that it can hold. */
  readonly capacity: number;
  /** Memory that it takes when full. */
  readonly bytes: number;
  /** Forgets all positions from `length` on. @throws {PolyllamaError} `ERR_OPTION` when that is not a rewind. */
  truncate(length: number): void;
  /** An independent copy of the current content. */
  fork(): Promise<KvCache>;
}

/** Rows to compute, N in all, of any number of sequences. */
export interface Step {
  /** Tokens [N] as Int32Array; activations [N, width] as Float32Array or Float64Array. */
  readonly inputs: Readonly<Record<ValueName, Int32Array | RealArray>>;
  /** Which rows belong to which sequence; default: all rows to one sequence without a cache. */
  readonly batch?: readonly SequenceStep[];
}

/** A sequence's part of a step. */
export interface SequenceStep {
  /** How many rows this sequence advances by. */
  readonly rows: number;
  /** Receives the rows' keys and values; they continue at its length. Without one the rows see only each other. */
  readonly cache?: KvCache;
  /** Position of the first row where there is no cache; default 0. */
  readonly position?: number;
}

/** A value of the graph, for all rows [N, width] or, with `rows: "last"`, the last row of each sequence [sequences, width]. */
export type Wanted = ValueName | { readonly value: ValueName; readonly rows: "last" };

/** Real numbers, in the precision in which they were computed. */
export type RealArray = Float32Array | Float64Array;

/** A matrix, row by row. */
export interface Tensor {
  /** [rows, width] */
  readonly shape: readonly [number, number];
  readonly data: RealArray;
}

/** The device that a backend computes on, for people. */
export interface DeviceInfo {
  readonly backend: string;
  /** Name of the processor or card. */
  readonly device: string;
  /** Versions of what runs underneath, and features: "onnxruntime: 1.30.0". */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/** Bytes, by purpose. */
export interface MemoryEstimate {
  readonly weights: number;
  readonly cache: number;
  readonly scratch: number;
}

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
   * Formats s q + m whose values are never formed: `linear` sums s (q - c) x and (c s + m) x apart, where c is the middle of
   * `offsetFormats` of @polyllama/formats, so that its error follows the sizes of both parts and not of their sum.
   */
  readonly apartOffsets?: readonly OffsetFormatName[];
  /** Formats for which `linear` first rounds its input to int8, per block of this many elements with scale absmax / 127. */
  readonly int8Activations?: { readonly block: number; readonly formats: readonly FormatName[] };
  /** How `linear` rounds where it is computed on tensor cores. */
  readonly tensorCores?: TensorCoreRounding;
  /** Format of keys and values in the cache. */
  readonly cache: CacheFormat | "f64";
  /** Where each statement comes from. */
  readonly sources: readonly string[];
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
  /**
   * Sums are cut off instead of rounded: of `group` products and the sum before, each at a step that is `unit` of the largest of
   * them, and then the result at `unit` of itself. Columns are summed in order, but for exchanges within each `columns` of them.
   */
  readonly truncation: { readonly unit: number; readonly group: number; readonly columns: number };
  /**
   * `attention` alike, where heads are a multiple of `multiple` up to `most` and the cache has one of these formats: queries, and
   * weights before their division, are rounded as inputs are; keys and values are exact.
   */
  readonly attention?: { readonly caches: readonly CacheFormat[]; readonly multiple: number; readonly most: number };
}
