// A GPU as a device: weights, pools of KV blocks and programs on it. Weights keep their stored values; see pack.ts for how blocks are
// rearranged, modes.ts for what is fused, emit/ for what steps become. Kernels compute in f32 whatever the format, and need no optional
// feature: not shader-f16, and subgroups only to be faster.

import {
  checkNumber,
  type DeviceInfo,
  type FormatName,
  type Graph,
  type MemoryEstimate,
  type Node,
  PolyllamaError,
  type RoundingProfile,
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
  PoolMemory as PoolSize,
} from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { PagedPool, poolBlocks, Resources, SharedParameters, StepQueue } from "@polyllama/planner";
import { type DeviceOptions, describeAdapter, type OpenedDevice, openDevice } from "./adapter.ts";
import { blockRows } from "./cache/layout.ts";
import { PoolMemory } from "./cache/pool-memory.ts";
import type { Gpu, KernelFamily } from "./gpu.ts";
import { estimateMemory } from "./memory.ts";
import { WebGpuExecutor } from "./program/executor.ts";
import { WebGpuProgram } from "./program/program.ts";
import { roundings } from "./roundings.ts";
import { checkGraph, supports } from "./supports.ts";
import { checkLayout, type LoadedWeights, loadWeights } from "./weights/loaded.ts";

/** Steps under way while tokens are drawn on the device. */
const stepsAhead: Readonly<Record<KernelFamily, number>> = { software: 2, hardware: 3 };

/** What `webgpuDevice()` gives. */
export class WebGpuDevice implements Device {
  readonly name = "webgpu";
  readonly roundings: RoundingProfile = roundings;
  readonly formats: ReadonlySet<FormatName> = new Set(Object.keys(formats) as FormatName[]); // the record's own keys
  readonly features: DeviceFeatures;
  readonly #options: DeviceOptions;
  readonly #resources = new Resources();
  readonly #queue = new StepQueue();
  #opened: OpenedDevice;

  /** Made by {@link webgpuDevice}. */
  constructor(options: DeviceOptions, opened: OpenedDevice) {
    this.#options = options;
    this.#opened = opened;
    this.features = {
      outputs: ["host", "device", "token"],
      adjustments: false,
      stepsAhead: stepsAhead[opened.gpu.family],
      adapters: false,
      updates: false,
      pagedCaches: true,
      cacheExport: true,
    };
  }

  /** Buffers alive on the device and their bytes; both 0 when everything is disposed. */
  get live(): { readonly buffers: number; readonly bytes: number } {
    return { ...this.gpu.live };
  }

  /** Present resources belong to this; after a loss the next parameters open another one. */
  get gpu(): Gpu {
    return this.#opened.gpu;
  }

  /** The adapter, its limits and features, for people. */
  describe(): DeviceInfo {
    const { gpu, info } = this.#opened;
    return {
      backend: this.name,
      device: describeAdapter(info),
      details: {
        architecture: info.architecture || "unknown",
        kernels: gpu.family,
        subgroups: gpu.features.subgroups,
        "largest binding": gpu.limits.maxStorageBufferBindingSize,
        "largest buffer": gpu.limits.maxBufferSize,
        "storage buffers a stage": gpu.limits.maxStorageBuffersPerShaderStage,
        "workgroup memory": gpu.limits.maxComputeWorkgroupStorageSize,
        "features of the device": [...gpu.device.features].sort().join(" "),
      },
    };
  }

  supports(node: Node): true | UnsupportedError {
    return supports(node);
  }

  /** WebGPU does not tell what the whole device has; with the option `memory`, that is the total. */
  async memory(): Promise<DeviceMemory> {
    const { memory: total, live } = this.gpu;
    return { allocated: live.bytes, ...(Number.isFinite(total) && { total, free: total - live.bytes }) };
  }

  /** What the option `memory` leaves; WebGPU itself does not tell. */
  get availableMemory(): number | undefined {
    const { memory, live } = this.gpu;
    return Number.isFinite(memory) ? memory - live.bytes : undefined;
  }

  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, rows: number): MemoryEstimate {
    checkNumber(rows, "capacity", { least: 1, integer: true });
    return estimateMemory(graph, weights, rows, this.gpu.limits);
  }

  async loadParameters(
    graphs: readonly Graph[],
    source: WeightSource,
    { mutable = false, onProgress, signal: given }: LoadParametersOptions = {},
  ): Promise<Parameters> {
    if (mutable) {
      throw new UnsupportedError("The WebGPU backend does not update parameters", "Leave `mutable` out.", {
        op: "updates",
      });
    }
    return this.#resources.load(given, async (signal) => {
      for (const graph of graphs) checkGraph(graph);
      const gpu = await this.#aliveGpu();
      const loaded = await loadWeights(gpu, graphs, source, onProgress, signal);
      const parameters: SharedParameters<LoadedWeights> = new SharedParameters(loaded, gpu, {
        onFree: () => this.#resources.delete(parameters),
      });
      this.#resources.add(parameters);
      return parameters;
    });
  }

  cachePool(spec: CacheSpec, size: PoolSize): CachePool {
    this.#resources.assertAlive();
    const blocks = poolBlocks(size, blockRows);
    const { rows, sequences = 1, format = "f32" } = size;
    const { gpu } = this;
    const pool: PagedPool<PoolMemory> = new PagedPool({
      spec,
      format,
      blockRows,
      blocks,
      storage: new PoolMemory(gpu, spec, format, blocks, `A cache of ${rows * sequences} positions`),
      owner: gpu,
      settled: () => this.#queue.settled(),
      inTurn: (action) => this.#queue.begin(undefined, action),
      onFree: () => this.#resources.delete(pool),
    });
    this.#resources.add(pool);
    return pool;
  }

  async compile(graph: Graph, given: Parameters, options: CompileProgramOptions = {}): Promise<WebGpuProgram> {
    return this.#resources.load(options.signal, async (signal) => {
      checkGraph(graph);
      const parameters = this.#own(given);
      checkLayout(graph, parameters.storage);
      const { gpu } = this;
      gpu.assertAlive();
      const executor = await WebGpuExecutor.create(gpu, graph, parameters.storage, {
        opened: (tensor) => this.#resources.add(tensor),
        closed: (tensor) => this.#resources.delete(tensor),
      });
      try {
        await executor.prepare(options.outputs ?? graph.outputs.map((value) => ({ value, to: "host" })));
        signal.throwIfAborted();
        const onDispose = (program: AsyncDisposable): void => this.#resources.delete(program);
        const parts = { graph, parameters, owner: gpu, queue: this.#queue, executor, onDispose };
        const program = new WebGpuProgram(parts, executor);
        this.#resources.addProgram(program);
        return program;
      } catch (error) {
        await executor.free();
        throw error;
      }
    });
  }

  /** @throws {PolyllamaError} `ERR_PARAMETERS` for those of another device, `ERR_DISPOSED` */
  #own(parameters: Parameters): SharedParameters<LoadedWeights> {
    if (parameters instanceof SharedParameters && parameters.owner === this.gpu) {
      parameters.assertAlive();
      return parameters as SharedParameters<LoadedWeights>; // this device has no others
    }
    throw new PolyllamaError("ERR_PARAMETERS", "Parameters belong to the device that loaded them; load them here.");
  }

  /** The device; another one of the same adapter's kind where the last was lost and is ours. */
  async #aliveGpu(): Promise<Gpu> {
    if (this.gpu.lost !== undefined && this.#options.device === undefined) {
      const { adapter: _, ...others } = this.#options; // an adapter gives one device only
      this.#opened = await openDevice(others);
    }
    this.gpu.assertAlive();
    return this.gpu;
  }

  /** Disposes what is still alive on it, and the GPU unless it was given. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.dispose(() => this.gpu.dispose());
  }
}

showBriefly(WebGpuDevice.prototype, "Device", ({ name }) => ({ name }));
