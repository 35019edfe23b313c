// The onnxruntime backend: the graph becomes an ONNX model, run by the ONNX Runtime library that the package onnxruntime-node
// ships. Weights keep their stored precision; see pack/ for how each format is laid out and lower.ts for the operators.

import { availableParallelism, cpus } from "node:os";
import {
  type Backend,
  type CompileOptions,
  checkOptions,
  checkWeights,
  compileOptionTypes,
  type DeviceInfo,
  type Graph,
  type MemoryEstimate,
  type OffsetFormatName,
  type OptionSchema,
  option,
  type Program,
  ProgramSet,
  type RoundingProfile,
  showBriefly,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { formats, offsetFormats } from "@polyllama/formats";
import { defaultCacheFolder } from "./cache/folder.ts";
import { openPackedWeights } from "./cache/packed-weights.ts";
import { estimateMemory } from "./memory.ts";
import { loadOrt } from "./ort/api.ts";
import { planLayout } from "./pack/layout.ts";
import { OnnxRuntimeProgram } from "./program.ts";

/** Options of `onnxruntime()`. */
export interface OnnxRuntimeOptions {
  /** Threads that compute; default: as many as the process may run at once. */
  readonly threads?: number;
  /**
   * How quantized linears treat their input. `int8`, the default, rounds it to 8 bits per block of 32 (16 for q2_k, q3_k and q6_k) and is
   * several times faster; `f32` does not.
   */
  readonly activations?: "int8" | "f32";
  /**
   * Folder for packed weights. Default: `polyllama` in the user's folder for caches (`XDG_CACHE_HOME` or ~/.cache;
   * ~/Library/Caches; `LOCALAPPDATA`). `false` packs into a private temporary
   * folder at every compile and removes it when the program is disposed. So does, with a note, a folder that cannot be written.
   */
  readonly cacheFolder?: string | false;
  /** Bytes that all packed weights may take in the folder; the least recently used go first. Default: 32 GiB. */
  readonly cacheLimit?: number;
  /**
   * Gets what people should know, as sentences: that packed weights were damaged and are packed again, that the cache cannot be
   * written. Default: a warning of the process.
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

/**
 * The onnxruntime backend.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where ONNX Runtime is not installed `compile` and `describe` say so, not this.
 */
export function onnxruntime(options: OnnxRuntimeOptions = {}): Backend {
  checkOptions(options, optionTypes, "onnxruntime()");
  const { threads = availableParallelism(), activations = "int8" } = options;
  const { cacheFolder = defaultCacheFolder() ?? false, cacheLimit = 32 * 2 ** 30 } = options;
  const { onNote = (note: string) => process.emitWarning(note) } = options;
  return new OnnxRuntimeBackend({ threads, activations, cacheFolder, cacheLimit, onNote });
}

class OnnxRuntimeBackend implements Backend {
  readonly name = "onnxruntime";
  readonly roundings: RoundingProfile;
  readonly #options: Required<OnnxRuntimeOptions>;
  readonly #programs = new ProgramSet<OnnxRuntimeProgram>();

  constructor(options: Required<OnnxRuntimeOptions>) {
    this.#options = options;
    this.roundings = roundings(options.activations);
  }

  describe(): DeviceInfo {
    const { version, path } = loadOrt();
    return {
      backend: this.name,
      device: cpus()[0]?.model.trim() ?? process.arch,
      details: {
        threads: this.#options.threads,
        activations: this.#options.activations,
        onnxruntime: version,
        library: path,
      },
    };
  }

  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, capacity: number): MemoryEstimate {
    return estimateMemory(graph, weights, capacity, this.#options.activations);
  }

  async compile(graph: Graph, weights: WeightSource, options: CompileOptions = {}): Promise<Program> {
    checkOptions(options, compileOptionTypes, "compile()");
    return this.#programs.load(options.signal, (signal) => this.#compile(graph, weights, options, signal));
  }

  async #compile(
    graph: Graph,
    weights: WeightSource,
    { wanted = graph.outputs, onProgress }: CompileOptions,
    signal: AbortSignal,
  ): Promise<OnnxRuntimeProgram> {
    const { threads, activations, cacheFolder: folder, cacheLimit: limit, onNote } = this.#options;
    checkWeights(graph, weights);
    const ort = loadOrt();
    const layout = planLayout(graph, weights.weights, activations);
    const packed = await openPackedWeights(weights, layout, { folder, limit, onNote }, onProgress, signal);
    const program = new OnnxRuntimeProgram({
      ort,
      graph,
      source: weights,
      layout,
      packed,
      threads,
      accuracyLevel: activations === "int8" ? 4 : 1,
      onDispose: (disposed) => this.#programs.delete(disposed),
    });
    try {
      onProgress?.({ phase: "loading weights", done: 0, total: layout.bytes });
      await program.prepare(wanted, signal);
      onProgress?.({ phase: "loading weights", done: layout.bytes, total: layout.bytes });
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Disposes the programs that are still alive. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#programs.dispose();
  }
}

showBriefly(OnnxRuntimeBackend.prototype, "Backend", ({ name }) => ({ name }));

const quantizedFormats = Object.values(formats)
  .filter(({ blockSize }) => blockSize > 1)
  .map(({ name }) => name);

function roundings(activations: "int8" | "f32"): RoundingProfile {
  return {
    unit: 2 ** -24,
    flushesSubnormals: false,
    exp: 4,
    sigmoidAbsolute: 4,
    apartOffsets: Object.keys(offsetFormats) as OffsetFormatName[], // the record's own keys
    ...(activations === "int8" && { int8Activations: { block: 32, formats: quantizedFormats } }),
    cache: "f32",
    sources: [
      "ONNX Runtime 1.30, MatMulNBits, accuracy_level 4: the input is rounded to int8 per block of the weight's block size (32; 16 for q2_k, q3_k and q6_k), scale absmax / 127; sums in int32 within a block and f32 across. accuracy_level 1: f32 throughout. Both compared with an emulation on x86-64 (AVX2, AVX-512).",
      "Formats with offsets, s q + m: s (q - c) is multiplied with the rounded input, c s + m with unrounded f32 sums of each block; c is 2 for q2_k, 16 for q5_1 and q5_k, 8 for q4_1 and q4_k.",
      "ONNX Runtime 1.30, GroupQueryAttention and SimplifiedLayerNormalization on CPU: f32 in MLAS; exp by polynomial.",
      "ONNX Runtime 1.30, QuickGelu: MlasComputeLogistic clamps its argument to [-18, 18] and evaluates a rational function about 1/2, so that the sigmoid's error is a few units of 1, not of itself.",
      "Cosines and sines: float64 on the host, rounded to f32 once.",
    ],
  };
}
