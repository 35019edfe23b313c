// A device made of what its backend alone can know: what it is, what it can do, how weights come to it, where KV blocks
// lie, and how a step is run. Whatever devices do alike stands here and in the rest of this folder: they refuse what
// they cannot do and what is another device's, count their memory, and take back all that they gave out.

import {
  type CacheFormat,
  checkOptions,
  type Graph,
  PolyllamaError,
  showBriefly,
  UnsupportedError,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import {
  type CachePool,
  type CacheSpec,
  type CompileProgramOptions,
  checkValue,
  compileProgramOptionTypes,
  type Device,
  type DeviceMemory,
  type LoadParametersOptions,
  loadParametersOptionTypes,
  type Parameters,
  type PoolSize,
  type Program,
  poolSizeTypes,
} from "@polyllama/core/device";
import { keepAdapters, linearsOf } from "../adapters/keep-adapters.ts";
import { type AdapterParts, SwitchedAdapters } from "../adapters/switched-adapters.ts";
import { SwitchingExecutor } from "../adapters/switching-executor.ts";
import { isTrainingGraph } from "../training/updates.ts";
import { PagedPool, type PoolStorage } from "./paged-pool.ts";
import { ProgramFrame, type StepExecutor } from "./program-frame.ts";
import { Resources } from "./resources.ts";
import { type ParameterStorage, SharedParameters } from "./shared-parameters.ts";
import { orAborted, StepQueue } from "./step-queue.ts";

/** How a backend keeps keys and values. */
export interface CacheParts<Blocks extends PoolStorage> {
  /** Formats of pools; the first one is the default. */
  readonly formats: readonly [CacheFormat, ...CacheFormat[]];
  /** Why it has no others, for people. */
  readonly reason?: string;
  /** Positions of a block; without pages a block is a whole sequence, and its pool says how long that may be. */
  readonly blockRows: number | "sequence";
  /**
   * Allocates the memory of a pool.
   *
   * @throws {MemoryError} where the device has less; {@link UnsupportedError} for a spec that it cannot keep
   */
  allocate(size: BlocksSize): Blocks;
}

/** What a pool asks for. */
export interface BlocksSize {
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
  readonly blocks: number;
  /** Positions of a block. */
  readonly rows: number;
  /** What the memory is for, for errors. */
  readonly what: string;
}

/** Where a device keeps the tensors that it gave out, which it frees with itself. */
export interface TensorRegister {
  /** It was given out. */
  opened(tensor: Disposable): void;
  /** Its memory is free. */
  closed(tensor: Disposable): void;
}

/** The caller's signal is aborted when the device is disposed, too. */
type Within<Options> = Options & { readonly signal: AbortSignal };

/** What a backend gives. */
export interface DeviceParts<Weights extends ParameterStorage, Blocks extends PoolStorage>
  extends Pick<Device, "name" | "roundings" | "formats" | "features" | "describe" | "supports" | "estimateMemory"> {
  /** Reads the weights of all the graphs, which {@link Device.supports} has let through. */
  loadWeights(graphs: readonly Graph[], source: WeightSource, options: Within<LoadParametersOptions>): Promise<Weights>;
  /**
   * How adapters come to it, where it has them: `load` is absent where its weights compute with them themselves.
   */
  readonly adapters?: Pick<AdapterParts<Weights>, "readValues"> & Partial<AdapterParts<Weights>>;
  readonly caches: CacheParts<Blocks>;
  /** Bytes that the whole device has; absent where the platform does not tell. */
  totalMemory?(): number;
  /** What runs a graph's steps. @param parameters Hold all weights of the graph; their owner is the device. */
  executor(
    graph: Graph,
    parameters: SharedParameters<Weights>,
    options: Within<CompileProgramOptions>,
    register: TensorRegister,
  ): StepExecutor<Blocks> | Promise<StepExecutor<Blocks>>;
  /** Memory in use, where that is more than parameters and pools. */
  memory?(): DeviceMemory;
  /** Frees what is left, when everything that the device gave out is disposed. */
  release?(): void;
}

/** A device of a backend's parts. */
export class DeviceFrame<Weights extends ParameterStorage, Blocks extends PoolStorage> implements Device {
  readonly name: string;
  readonly roundings: Device["roundings"];
  readonly formats: Device["formats"];
  readonly features: Device["features"];
  readonly describe: Device["describe"];
  readonly supports: Device["supports"];
  readonly estimateMemory: Device["estimateMemory"];
  readonly #parts: DeviceParts<Weights, Blocks>;
  readonly #resources = new Resources();
  readonly #queue = new StepQueue();
  readonly #loaded = new Set<SharedParameters<Weights>>();
  readonly #switched = new WeakMap<SharedParameters<Weights>, SwitchedAdapters<Weights, Blocks>>();
  readonly #pools = new Set<PagedPool<Blocks>>();
  readonly #register: TensorRegister = {
    opened: (tensor) => this.#resources.add(tensor),
    closed: (tensor) => this.#resources.delete(tensor),
  };

  constructor(parts: DeviceParts<Weights, Blocks>) {
    this.name = parts.name;
    this.roundings = parts.roundings;
    this.formats = parts.formats;
    this.features = parts.features;
    this.describe = () => parts.describe();
    this.supports = (node, weights) => parts.supports(node, weights);
    this.estimateMemory = (graph, weights, rows) => parts.estimateMemory(graph, weights, rows);
    this.#parts = parts;
  }

  async memory(): Promise<DeviceMemory> {
    if (this.#parts.memory !== undefined) return this.#parts.memory();
    let allocated = 0;
    for (const { bytes } of this.#loaded) allocated += bytes;
    for (const { storage } of this.#pools) allocated += storage.allocated ?? storage.bytes;
    const total = this.#parts.totalMemory?.();
    return { allocated, ...(total !== undefined && { total }) };
  }

  async loadParameters(
    graphs: readonly Graph[],
    source: WeightSource,
    options: LoadParametersOptions = {},
  ): Promise<Parameters> {
    checkOptions(options, loadParametersOptionTypes, "loadParameters()");
    const { mutable = false } = options;
    return this.#resources.load(options.signal, async (signal) => {
      if (mutable && !this.features.updates) {
        const remedy = "Leave `mutable` out, or use another backend.";
        throw new UnsupportedError(`The ${this.name} backend does not update parameters`, remedy, { op: "updates" });
      }
      for (const graph of graphs) this.#check(graph, source.weights);
      const storage = await this.#parts.loadWeights(graphs, source, { ...options, signal });
      const { readValues, load } = this.#parts.adapters ?? {};
      const linears = linearsOf(graphs, storage.weights);
      const switched: SwitchedAdapters<Weights, Blocks> | undefined =
        load && new SwitchedAdapters(graphs, linears, (...stacks) => load(storage, ...stacks));
      const parameters: SharedParameters<Weights> = new SharedParameters(storage, this, {
        mutable,
        adapters:
          readValues &&
          keepAdapters(storage, linears, readValues, switched, (action) => this.#resources.load(undefined, action)),
        onFree: (freed) => {
          this.#loaded.delete(parameters);
          this.#resources.delete(parameters, freed);
        },
      });
      if (switched !== undefined) this.#switched.set(parameters, switched);
      this.#loaded.add(parameters);
      this.#resources.add(parameters);
      return parameters;
    });
  }

  cachePool(spec: CacheSpec, size: PoolSize): CachePool {
    this.#resources.assertAlive();
    checkOptions(size, poolSizeTypes, "cachePool()");
    const { caches } = this.#parts;
    const { rows, sequences = 1, format = caches.formats[0] } = size;
    if (!caches.formats.includes(format)) {
      const why = caches.reason === undefined ? "" : `: ${caches.reason}`;
      const problem = `The ${this.name} backend keeps keys and values in ${caches.formats.join(" or ")}, not ${format}${why}`;
      throw new UnsupportedError(problem, "Leave `format` out, or use another backend.", { op: "attention", format });
    }
    const odd = format === "q8_0" ? spec.find(({ headDim }) => headDim % 32 !== 0) : undefined;
    if (odd !== undefined) {
      const problem = `A cache in q8_0 has a scale for each 32 elements of a head, which ${odd.headDim} is no multiple of`;
      throw new UnsupportedError(problem, "Leave `format` out, or choose f16.", { op: "attention", format });
    }
    const blockRows = caches.blockRows === "sequence" ? rows : caches.blockRows;
    const blocks = Math.ceil(rows / blockRows) * sequences;
    const what = `A cache of ${rows * sequences} positions in ${format}`;
    const pool: PagedPool<Blocks> = new PagedPool({
      spec,
      format,
      blockRows,
      blocks,
      storage: caches.allocate({ spec, format, blocks, rows: blockRows, what }),
      owner: this,
      transfer: (action) =>
        this.#resources.load(undefined, async (signal) => {
          await orAborted(this.#queue.underWay.settled(), signal);
          return action();
        }),
      onFree: () => {
        this.#pools.delete(pool);
        this.#resources.delete(pool);
      },
    });
    this.#pools.add(pool);
    this.#resources.add(pool);
    return pool;
  }

  async compile(graph: Graph, given: Parameters, options: CompileProgramOptions = {}): Promise<Program> {
    checkOptions(options, compileProgramOptionTypes, "compile()");
    for (const { value } of options.outputs ?? []) checkValue(graph, value);
    return this.#resources.load(options.signal, async (signal) => {
      const parameters = this.#own(given);
      for (const { name } of graph.weights) {
        if (parameters.weights.has(name)) continue;
        const problem = `These parameters were loaded for other graphs: "${name}" is not among them.`;
        throw new PolyllamaError("ERR_PARAMETERS", `${problem} Load them for this graph, too.`);
      }
      this.#checkNodes(graph, parameters.weights); // of which nothing was known when they were loaded
      parameters.retain(); // they stay while the executor is made of them
      try {
        const executor = await this.#executor(graph, parameters, { ...options, signal });
        return await this.#program(graph, parameters, executor);
      } finally {
        await parameters.release();
      }
    });
  }

  /** What runs a graph's steps, whatever adapters they name. */
  async #executor(
    graph: Graph,
    parameters: SharedParameters<Weights>,
    options: Within<CompileProgramOptions>,
  ): Promise<StepExecutor<Blocks>> {
    const plain = await this.#parts.executor(graph, parameters, options, this.#register);
    const switched = this.#switched.get(parameters);
    if (switched === undefined || isTrainingGraph(graph)) return plain;
    const executor = new SwitchingExecutor(plain, () => switched.leave(executor));
    const { outputs } = options;
    const make = async (adapted: Graph, weights: Weights, signal: AbortSignal): Promise<StepExecutor<Blocks>> => {
      const both = new SharedParameters(weights, this, { onFree: () => undefined }); // whose memory others own
      return this.#parts.executor(adapted, both, { ...(outputs && { outputs }), signal }, this.#register);
    };
    try {
      await switched.serve({ graph, executor, make }, options.signal);
      return executor;
    } catch (error) {
      await executor.free();
      throw error;
    }
  }

  async #program(
    graph: Graph,
    parameters: SharedParameters<Weights>,
    executor: StepExecutor<Blocks>,
  ): Promise<Program> {
    try {
      const program = new ProgramFrame({
        graph,
        parameters,
        owner: this,
        queue: this.#queue,
        executor,
        onDispose: (disposed) => this.#resources.delete(disposed),
      });
      this.#resources.addProgram(program);
      return program;
    } catch (error) {
      await executor.free(); // the parameters were disposed meanwhile
      throw error;
    }
  }

  /** Disposes everything that it gave out. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.dispose(() => this.#parts.release?.());
  }

  /** @throws {UnsupportedError} for an operation or a format that the backend does not have */
  #check(graph: Graph, infos: ReadonlyMap<WeightName, WeightInfo>): void {
    for (const { name } of graph.weights) {
      const format = infos.get(name)?.format;
      if (format === undefined || this.formats.has(format)) continue;
      const problem = `The ${this.name} backend does not have the format ${format} of "${name}"`;
      throw new UnsupportedError(problem, "Convert the checkpoint, or use another backend.", { format });
    }
    this.#checkNodes(graph, infos);
  }

  /** @throws {UnsupportedError} for an operation that the backend does not have, and values of fixed shapes */
  #checkNodes({ inputs, nodes }: Graph, infos: ReadonlyMap<WeightName, WeightInfo>): void {
    for (const node of nodes) {
      const answer = this.supports(node, infos);
      if (answer !== true) throw answer;
    }
    const fixed = inputs.find(({ kind }) => kind === "fixed");
    if (fixed === undefined || this.features.updates) return;
    const problem = `The ${this.name} backend does not train, and takes no input of a fixed shape, as "${fixed.name}" is`;
    throw new UnsupportedError(problem, "Use the cpu backend.", { op: "updates" });
  }

  /** @throws {PolyllamaError} `ERR_PARAMETERS` for those of another device, `ERR_DISPOSED` */
  #own(parameters: Parameters): SharedParameters<Weights> {
    if (parameters instanceof SharedParameters && parameters.owner === this) {
      parameters.assertAlive();
      return parameters as SharedParameters<Weights>; // this device makes no others
    }
    throw new PolyllamaError("ERR_PARAMETERS", "These parameters are another device's; load them with this one.");
  }
}

showBriefly(DeviceFrame.prototype, "Device", ({ name }) => ({ name }));
