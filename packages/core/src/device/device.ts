// The contract between a model and what computes it. A device owns everything that is not plain data: parameters
// (weights), pools of KV blocks, tensors and compiled programs are handles that it gives out. A step names all that it
// reads and changes, so that many users, adapters and optimizers share one compiled program and one copy of the
// weights.
//
// What a device cannot do is asked by `supports` and refused with an `UnsupportedError`. It never computes something
// else instead, and an option that it accepts is honoured.

import type { UnsupportedError } from "../errors.ts";
import type { FormatName } from "../formats.ts";
import type { Graph, Node, WeightName } from "../graph.ts";
import type { Progress } from "../progress.ts";
import type { WeightInfo, WeightSource } from "../weights.ts";
import type { CacheFormat, CachePool, CacheSpec } from "./cache.ts";
import type { Parameters } from "./parameters.ts";
import type { Output, Program } from "./program.ts";
import type { RoundingProfile } from "./roundings.ts";

/** What computes: owns parameters, KV blocks and programs. Disposing it disposes all of them. */
export interface Device extends AsyncDisposable {
  /** Short name, as it stands in package names: "webgpu". */
  readonly name: string;
  /** What conformance may assume of each operation's rounding. */
  readonly roundings: RoundingProfile;
  /** Formats of weights that are kept as they are stored. Others are refused. */
  readonly formats: ReadonlySet<FormatName>;
  readonly features: DeviceFeatures;
  /** The device, for people. */
  describe(): DeviceInfo;
  /** Whether an operation can be computed with weights of these formats. */
  supports(node: Node, weights: ReadonlyMap<WeightName, WeightInfo>): true | UnsupportedError;
  /** Memory in use by what this device gave out, and where the platform tells, of the whole device. */
  memory(): Promise<DeviceMemory>;
  /** Bytes that a graph would take with one sequence of up to `rows` positions, before anything is loaded. */
  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, rows: number): MemoryEstimate;
  /**
   * Puts weights on the device, in one layout that serves all the given graphs. Any number of programs share them.
   *
   * @param source Must stay readable until the parameters are disposed.
   * @throws {UnsupportedError}; `CheckpointError` for weights that are missing, misshapen, NaN or infinite;
   * `MemoryError`; the signal's reason.
   */
  loadParameters(graphs: readonly Graph[], source: WeightSource, options?: LoadParametersOptions): Promise<Parameters>;
  /**
   * A pool of KV blocks for sequences of every program whose graph has this spec.
   *
   * @throws {MemoryError} at once, or with the first step that uses it where the device answers later; `OptionError`
   */
  cachePool(spec: CacheSpec, size: PoolSize): CachePool;
  /**
   * Prepares a graph.
   *
   * @throws {UnsupportedError}; `PolyllamaError` `ERR_PARAMETERS` where the parameters were laid out for other graphs;
   * `MemoryError`; the signal's reason.
   */
  compile(graph: Graph, parameters: Parameters, options?: CompileProgramOptions): Promise<Program>;
}

/** What a device can do beside running graphs. */
export interface DeviceFeatures {
  /** Where outputs can go. Every device has "host". */
  readonly outputs: readonly Output["to"][];
  /** Whether draws take penalties, biases and masks, and give log-probabilities. */
  readonly adjustments: boolean;
  /**
   * Steps that are worth having under way while each draws the token that the next one reads: 1 where the host
   * computes.
   */
  readonly stepsAhead: number;
  /**
   * Whether a row has the same bits however its sequence was cut into steps: prefill in chunks of any size, decoding, a
   * prefix that a fork shares. That other sequences of a step change no bit of it holds on every device.
   */
  readonly invariantRows: boolean;
  /** Whether parameters take low-rank adapters. */
  readonly adapters: boolean;
  /** Whether steps may update parameters. */
  readonly updates: boolean;
  /** Whether blocks are smaller than a sequence, so that a fork takes only what differs. */
  readonly pagedCaches: boolean;
  /** Whether caches are exported and imported. */
  readonly cacheExport: boolean;
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

/** Bytes. */
export interface DeviceMemory {
  /** Held by what the device gave out, by its own count. */
  readonly allocated: number;
  /** What the device has in all, and what of it nobody uses; absent where the platform does not tell. */
  readonly total?: number;
  readonly free?: number;
}

/** Options of `Device.loadParameters`. */
export interface LoadParametersOptions {
  /** Whether steps may update them; default false. */
  readonly mutable?: boolean;
  /** Weights loaded so far, in bytes. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Size of a pool of KV blocks. */
export interface PoolSize {
  /** Positions of the longest sequence. */
  readonly rows: number;
  /**
   * Such sequences that it has room for; default 1. Where blocks are small, shorter ones are more, and forks take only
   * what differs.
   */
  readonly sequences?: number;
  /** Default: f32, or what the device documents. */
  readonly format?: CacheFormat;
}

/** Options of `Device.compile`. */
export interface CompileProgramOptions {
  /**
   * What steps will ask for; default: the graph's outputs, of all rows, on the host. Other outputs are prepared when
   * they are asked for.
   */
  readonly outputs?: readonly OutputSpec[];
  /** What is prepared so far, where that takes long. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** An output without what only a step knows of it. */
export type OutputSpec = Pick<Output, "value" | "to"> & { readonly rows?: "all" | "last" };
