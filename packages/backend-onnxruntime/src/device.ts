// The processor, by ONNX Runtime's library, as a device: a graph becomes an ONNX model. Weights keep their stored precision; see pack/ for
// how each format is laid out and lower.ts for the operators. Nothing is loaded before it is needed.

import { cpus, totalmem } from "node:os";
import {
  type DeviceInfo,
  type FormatName,
  type Graph,
  type MemoryEstimate,
  PolyllamaError,
  type RoundingProfile,
  resolveWanted,
  showBriefly,
  UnsupportedError,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type {
  CachePool,
  CacheSpec,
  CompileProgramOptions,
  Device,
  DeviceFeatures,
  DeviceMemory,
  LoadParametersOptions,
  Parameters,
  PoolMemory,
  Program,
} from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { PagedPool, ProgramFrame, poolBlocks, Resources, SharedParameters, StepQueue } from "@polyllama/planner";
import { OnnxRuntimeExecutor } from "./executor.ts";
import { OnnxRuntimeBlocks } from "./kv-blocks.ts";
import { estimateMemory } from "./memory.ts";
import { type OnnxRuntimeOptions, withDefaults } from "./options.ts";
import { loadOrt } from "./ort/api.ts";
import { loadParameters, type OnnxRuntimeParameters } from "./parameters.ts";
import { roundings } from "./roundings.ts";

/**
 * The processor as a device.
 *
 * A block of a pool is the whole of a sequence: `blockRows` is the longest sequence's length, beyond which a step throws a
 * `ContextOverflowError`, and a fork copies its block when it is first written. Caches are f32.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where ONNX Runtime is not installed `compile` and `describe` say so, not this.
 */
export function onnxRuntimeDevice(options: OnnxRuntimeOptions = {}): Device {
  return new OnnxRuntimeDevice(withDefaults(options, "onnxRuntimeDevice()"));
}

type OwnParameters = SharedParameters<OnnxRuntimeParameters>;

export class OnnxRuntimeDevice implements Device {
  readonly name = "onnxruntime";
  readonly roundings: RoundingProfile;
  readonly formats: ReadonlySet<FormatName> = new Set(Object.keys(formats) as FormatName[]); // the record's own keys
  readonly features: DeviceFeatures = {
    outputs: ["host", "device", "token", "score"],
    adjustments: true,
    stepsAhead: 1, // a token is chosen on the host, before the next step can begin
    adapters: false,
    updates: false,
    pagedCaches: false,
    cacheExport: true,
  };
  readonly #options: Required<OnnxRuntimeOptions>;
  readonly #resources = new Resources();
  readonly #queue = new StepQueue();
  readonly #parameters = new Set<OwnParameters>();
  readonly #pools = new Set<PagedPool<OnnxRuntimeBlocks>>();

  constructor(options: Required<OnnxRuntimeOptions>) {
    this.#options = options;
    this.roundings = roundings(options.activations);
  }

  /** @throws {PolyllamaError} `ERR_BACKEND`, `ERR_UNSUPPORTED` where ONNX Runtime is not installed. */
  describe(): DeviceInfo {
    const { version, path } = loadOrt();
    const { threads, activations } = this.#options;
    return {
      backend: this.name,
      device: cpus()[0]?.model.trim() ?? process.arch,
      details: { threads, activations, onnxruntime: version, library: path },
    };
  }

  /** There are operators for every operation, with weights of every format. */
  supports(): true {
    return true;
  }

  /**
   * Allocated are packed files, which are mapped, and KV blocks. What is free says nothing: pages of mapped files are
   * dropped when memory is short.
   */
  async memory(): Promise<DeviceMemory> {
    let allocated = 0;
    for (const { bytes } of this.#parameters) allocated += bytes;
    for (const { bytes } of this.#pools) allocated += bytes;
    return { allocated, total: totalmem() };
  }

  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, rows: number): MemoryEstimate {
    return estimateMemory(graph, weights, rows, this.#options.activations);
  }

  async loadParameters(
    graphs: readonly Graph[],
    source: WeightSource,
    { mutable = false, onProgress, signal: given }: LoadParametersOptions = {},
  ): Promise<Parameters> {
    if (mutable) {
      const remedy = "Leave `mutable` out, or use another backend.";
      throw new UnsupportedError("The onnxruntime backend does not update parameters", remedy, { op: "updates" });
    }
    return this.#resources.load(given, async (signal) => {
      loadOrt(); // says at once where there is none
      const storage = await loadParameters(graphs, source, this.#options, onProgress, signal);
      const parameters: OwnParameters = new SharedParameters(storage, this, {
        onFree: (freed) => {
          this.#parameters.delete(parameters);
          this.#resources.delete(parameters, freed);
        },
      });
      this.#parameters.add(parameters);
      this.#resources.add(parameters);
      return parameters;
    });
  }

  cachePool(spec: CacheSpec, memory: PoolMemory): CachePool {
    this.#resources.assertAlive();
    const { rows, format = "f32" } = memory;
    if (format !== "f32") {
      throw new UnsupportedError(
        `attention on the CPU keeps keys and values as f32, not ${format}: ONNX Runtime's CPU kernel would round queries as well`,
        "Leave `format` out, or use another backend.",
        { op: "attention", format },
      );
    }
    const blocks = poolBlocks(memory, rows);
    const pool: PagedPool<OnnxRuntimeBlocks> = new PagedPool({
      spec,
      format,
      blockRows: rows,
      blocks,
      storage: new OnnxRuntimeBlocks(loadOrt(), spec, rows, blocks),
      owner: this,
      settled: () => this.#queue.settled(),
      onFree: () => {
        this.#pools.delete(pool);
        this.#resources.delete(pool);
      },
    });
    this.#pools.add(pool);
    this.#resources.add(pool);
    return pool;
  }

  async compile(
    graph: Graph,
    loaded: Parameters,
    { outputs, onProgress, signal: given }: CompileProgramOptions = {},
  ): Promise<Program> {
    const wanted = outputs?.map(({ value }) => value) ?? graph.outputs;
    const values = new Set(wanted.map((value) => resolveWanted(graph, value).value));
    return this.#resources.load(given, async (signal) => {
      const parameters = this.#own(loaded);
      const { threads, activations } = this.#options;
      const executor = new OnnxRuntimeExecutor({
        ort: loadOrt(),
        graph,
        parameters: parameters.storage,
        threads,
        accuracyLevel: activations === "int8" ? 4 : 1,
        owner: this,
      });
      const program = new ProgramFrame({
        graph,
        parameters,
        owner: this,
        queue: this.#queue,
        executor,
        onDispose: () => this.#resources.delete(program),
      });
      this.#resources.addProgram(program);
      try {
        const total = parameters.bytes;
        onProgress?.({ phase: "loading weights", done: 0, total });
        await executor.prepare(values, signal);
        onProgress?.({ phase: "loading weights", done: total, total });
        return program;
      } catch (error) {
        await program[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  #own(parameters: Parameters): OwnParameters {
    for (const each of this.#parameters) if (each === parameters) return each;
    throw new PolyllamaError("ERR_PARAMETERS", "These parameters are another device's; load them with this one.");
  }

  /** Disposes everything that it gave out. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.dispose();
  }
}

showBriefly(OnnxRuntimeDevice.prototype, "Device", ({ name }) => ({ name }));
