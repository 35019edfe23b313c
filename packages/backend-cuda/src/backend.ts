// The CUDA backend. Nothing happens before the first use: importing it and making a backend cost nothing and need no driver.

import {
  type Backend,
  type CacheFormat,
  type CompileOptions,
  cacheOptionTypes,
  checkOptions,
  checkWeights,
  compileOptionTypes,
  type DeviceInfo,
  type FormatName,
  type Graph,
  type MemoryEstimate,
  type OptionSchema,
  option,
  PolyllamaError,
  type Program,
  ProgramSet,
  type RoundingProfile,
  showBriefly,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { findExponents, planExponents, type RowExponents } from "./exponents.ts";
import { Gpu, type GpuOptions, gpuOptionTypes } from "./gpu.ts";
import { tensorCoreHeads } from "./kernels/attention_tiles.ts";
import { cacheBytes } from "./kv-cache.ts";
import { type CopyOptions, copyBandwidth, tensorPeak } from "./limits.ts";
import { checkGraph, fewRows } from "./plan.ts";
import { CudaProgram, chunkRows } from "./program.ts";
import { planWeights } from "./weights/layout.ts";
import { loadWeights } from "./weights/load.ts";
import type { LoadedWeights } from "./weights/loaded.ts";

/** Options of `cuda()`. */
export interface CudaOptions {
  /**
   * How prompts (sequences that advance by more than eight rows) meet weights that are not f32: `f16`, the default, rounds both to f16
   * for tensor cores, on cards that have them in the form that is used (compute capability 8.0 and later), and is many times faster;
   * `f32` rounds neither. Decoding is in f32 always.
   */
  readonly activations?: "f16" | "f32";
  /**
   * Format of keys and values where `createCache` is not told one, as by `Llama`; default f32. `f16` halves what a context takes, is what
   * lets the attention of prompts use tensor cores (with activations in f16), and cannot hold numbers beyond 65,504.
   */
  readonly cache?: CacheFormat;
  /** Number of the card, as the driver counts; default 0. */
  readonly device?: number;
  /** The driver's library; default: where the system has it. */
  readonly library?: string;
  /** Folder of kernel images; default: those of this package. */
  readonly images?: string;
}

const optionTypes: OptionSchema<CudaOptions> = {
  ...gpuOptionTypes,
  activations: option.oneOf(["f16", "f32"]),
  cache: cacheOptionTypes.format,
};

/** Whether there is a card to compute on, or why not. */
export type CudaStatus =
  | {
      readonly available: true;
      readonly device: string;
      readonly computeCapability: string;
      /** Version of CUDA that the driver is for. */
      readonly driver: string;
      /** Bytes. */
      readonly memory: { readonly free: number; readonly total: number };
    }
  | { readonly available: false; readonly reason: string };

function create(options: CudaOptions = {}): Backend {
  checkOptions(options, optionTypes, "cuda()");
  const { activations = "f16", cache = "f32" } = options;
  return new CudaBackend({ ...options, activations, cache });
}

/** `cuda()` makes a backend; its functions look at the card. */
export interface Cuda {
  /**
   * The CUDA backend, for NVIDIA cards of compute capability 7.5 and later.
   *
   * @throws {PolyllamaError} `ERR_OPTION`. Where there is no driver or card `compile` and `describe` say so, not this.
   */
  (options?: CudaOptions): Backend;
  /** Looks for a driver and a card, loads nothing onto it, and says what is missing. */
  available(options?: CudaOptions): CudaStatus;
  /** How fast the card copies within its own memory, in bytes per second, read and written bytes both counted. */
  copyBandwidth(options?: CopyOptions): Promise<number>;
  /** How fast its tensor cores multiply bf16 by `mma.sync`, in floating point operations per second. */
  tensorPeak(options?: Partial<GpuOptions>): Promise<number>;
}

/** The CUDA backend, for NVIDIA cards of compute capability 7.5 and later, and functions that look at the card; see {@link Cuda}. */
export const cuda: Cuda = Object.assign(create, { available, copyBandwidth, tensorPeak });

function available(options: CudaOptions = {}): CudaStatus {
  try {
    using gpu = disposable(new Gpu({ device: 0, ...options }));
    const { name, driver } = gpu.value;
    return {
      available: true,
      device: name,
      computeCapability: capabilityText(gpu.value.capability),
      driver: versionText(driver.version),
      memory: driver.memoryInfo(),
    };
  } catch (error) {
    if (error instanceof PolyllamaError) return { available: false, reason: error.message };
    throw error;
  }
}

function disposable(value: Gpu): { readonly value: Gpu } & Disposable {
  return { value, [Symbol.dispose]: () => value.dispose() };
}

function capabilityText(capability: number): string {
  return `${Math.floor(capability / 10)}.${capability % 10}`;
}

function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${(version % 1000) / 10}`;
}

class CudaBackend implements Backend {
  readonly name = "cuda";
  readonly roundings: RoundingProfile;
  readonly #options: CudaOptions & Required<Pick<CudaOptions, "activations" | "cache">>;
  readonly #programs = new ProgramSet<CudaProgram>();
  #gpu: Gpu | undefined;

  constructor(options: CudaOptions & Required<Pick<CudaOptions, "activations" | "cache">>) {
    this.#options = options;
    this.roundings = roundings(options.activations === "f16", options.cache);
  }

  /** @throws {PolyllamaError} `ERR_UNSUPPORTED` where there is no driver or no card. */
  describe(): DeviceInfo {
    const gpu = this.#device();
    const { free, total } = gpu.driver.memoryInfo();
    return {
      backend: this.name,
      device: gpu.name,
      details: {
        "compute capability": capabilityText(gpu.capability),
        driver: `CUDA ${versionText(gpu.driver.version)}`,
        library: gpu.driver.path,
        kernels: gpu.images.target,
        activations: this.#tensorCores(gpu) ? "f16" : "f32",
        "memory, bytes": total,
        "free, bytes": free,
      },
    };
  }

  /** What the card has left, whoever uses the rest. @throws {PolyllamaError} `ERR_UNSUPPORTED` where there is no driver or no card. */
  get availableMemory(): number {
    return this.#device().freeMemory;
  }

  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, capacity: number): MemoryEstimate {
    const attentions = graph.nodes.filter((node) => node.op === "attention");
    let widest = 0;
    for (const width of graph.widths.values()) widest = Math.max(widest, width);
    const layout = planWeights(graph, weights);
    return {
      weights: layout.bytes + planExponents(graph, layout).bytes,
      cache: cacheBytes(attentions, capacity, this.#options.cache),
      scratch: 4 * Math.min(chunkRows, capacity) * 6 * widest + (64 << 20),
    };
  }

  async compile(graph: Graph, weights: WeightSource, options: CompileOptions = {}): Promise<Program> {
    checkOptions(options, compileOptionTypes, "compile()");
    return this.#programs.load(options.signal, (signal) => this.#compile(graph, weights, { ...options, signal }));
  }

  async #compile(
    graph: Graph,
    weights: WeightSource,
    options: CompileOptions & { readonly signal: AbortSignal },
  ): Promise<CudaProgram> {
    checkWeights(graph, weights);
    checkGraph(graph);
    const gpu = this.#device();
    const loaded = await gpu.turns.run(options.signal, () => loadWeights(gpu, graph, weights, options));
    const exponents = await this.#exponents(gpu, graph, loaded);
    const program = new CudaProgram(gpu, graph, loaded, exponents, this.#options.cache, (gone) =>
      this.#programs.delete(gone),
    );
    try {
      program.prepare(options.wanted ?? graph.outputs);
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  #tensorCores(gpu: Gpu): boolean {
    return this.#options.activations === "f16" && gpu.capability >= tensorCoreCapability;
  }

  async #exponents(gpu: Gpu, graph: Graph, loaded: LoadedWeights): Promise<RowExponents | undefined> {
    if (!this.#tensorCores(gpu)) return undefined;
    try {
      return await gpu.turns.run(undefined, () => findExponents(gpu, graph, loaded));
    } catch (error) {
      loaded[Symbol.dispose]();
      throw error;
    }
  }

  #device(): Gpu {
    this.#programs.assertAlive();
    this.#gpu ??= new Gpu({ device: 0, ...this.#options });
    return this.#gpu;
  }

  /** Disposes the programs that are still alive. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#programs.dispose(() => this.#gpu?.dispose());
  }
}

const formatNames = Object.keys(formats) as FormatName[]; // the record's own keys
/** Least compute capability, times ten, whose tensor cores the kernels use. */
const tensorCoreCapability = 80;

const tensorCores: NonNullable<RoundingProfile["tensorCores"]> = {
  fromRows: fewRows + 1,
  formats: formatNames.filter((format) => format !== "f32"),
  roundedWeights: formatNames.filter((format) => formats[format].blockSize > 1),
  unit: 2 ** -11,
  least: 2 ** -39,
  truncation: { unit: 2 ** -23, group: 4, columns: 128 },
  attention: { caches: ["f16"], ...tensorCoreHeads },
};

const tensorCoreSources: readonly string[] = [
  "kernels/round_rows.cu, gemm_mma.cu: inputs, and quantized weights, are rounded to the nearest f16 after a power of two has brought the " +
    "largest of their row to 2^14 or more; half of f16's least step, 2^-25, is then 2^-39 of it. Weights of f16 and bf16 are exact but for that step.",
  "Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021: products are exact; " +
    "a sum of four products (more on later cards) and the accumulator is cut off, not rounded, at 24 bits of its largest addend (later cards " +
    "keep more), and the result at 24 of its own.",
  "kernels/attention_mma.cu: with a cache in f16 queries are rounded alike, and the weights of softmax under 2^14, of which the largest is 1.",
];

const roundings = (f16: boolean, cache: CacheFormat): RoundingProfile => ({
  unit: 2 ** -24,
  flushesSubnormals: false,
  exp: 4,
  cache,
  ...(f16 && { tensorCores }),
  sources: [
    "All sums in f32, by fused multiply-adds or by products and sums rounded one by one; kernels are compiled with -fmad=false, " +
      "so that products and sums fuse only where fmaf is written.",
    "CUDA C++ Programming Guide, mathematical functions: expf within 2 ulp; division and square root round correctly without -use_fast_math.",
    "Quantized values are formed as ggml forms them; a scale is applied to a sum of at most 16 products of its quants.",
    "Cosines and sines: float64 on the host, rounded to f32 once.",
    ...(f16 ? tensorCoreSources : []),
  ],
});

showBriefly(CudaBackend.prototype, "Backend", ({ name }) => ({ name }));
