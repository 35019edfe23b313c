// A GPU as a device: weights, pools of KV blocks and programs on it. Weights keep their stored values; see pack.ts for
// how blocks are rearranged, modes.ts for what is fused, emit/ for what steps become. Kernels compute in f32 whatever
// the format, and need no optional feature: not shader-f16, and subgroups only to be faster.

import { checkNumber, type DeviceInfo, type FormatName } from "@polyllama/core";
import type { DeviceMemory } from "@polyllama/core/device";
import { asF32, formats, readValues } from "@polyllama/formats";
import {
  assertPlaced,
  DeviceFrame,
  EitherExecutor,
  isTrainingGraph,
  optimizedWeights,
  supportsHeads,
} from "@polyllama/planner";
import { describeAdapter, type OpenedDevice, openDevice } from "./adapter.ts";
import { blockRows } from "./cache/layout.ts";
import { PoolMemory } from "./cache/pool-memory.ts";
import type { Gpu, KernelFamily } from "./gpu.ts";
import { estimateMemory } from "./memory.ts";
import type { WebGpuOptions } from "./options.ts";
import { WebGpuExecutor } from "./program/executor.ts";
import type { Meter } from "./program/meter.ts";
import { roundings } from "./roundings.ts";
import { trainingExecutor } from "./training/executor.ts";
import { TensorMemory, TrainingTensor } from "./training/tensors.ts";
import { type LoadedWeights, loadWeights } from "./weights/loaded.ts";

/** Steps under way while tokens are drawn on the device. */
const stepsAhead: Readonly<Record<KernelFamily, number>> = { software: 2, hardware: 3 };

/** What `webgpu()` gives. */
export class WebGpuDevice extends DeviceFrame<LoadedWeights, PoolMemory> {
  /** Dispatches of all its programs; where it has a profile, submissions are timed by kernel. */
  readonly meter: Meter;
  readonly #adapter: Adapter;

  /** Made by {@link webgpu}. */
  constructor(options: WebGpuOptions, opened: OpenedDevice) {
    const adapter = new Adapter(options, opened);
    const meter: Meter = { profile: undefined, dispatched: 0 };
    super({
      name: "webgpu",
      roundings,
      formats: new Set(Object.keys(formats) as FormatName[]), // the record's own keys
      features: {
        outputs: ["host", "device", "token"],
        adjustments: false,
        stepsAhead: stepsAhead[opened.gpu.family],
        invariantRows: false, // prompts are multiplied by other kernels
        adapters: true,
        updates: true,
        pagedCaches: true,
        cacheExport: true,
      },
      describe: () => describe(adapter),
      supports: (node) => supportsHeads("WebGPU", node),
      memory: () => memoryOf(adapter.gpu),
      estimateMemory(graph, weights, rows) {
        checkNumber(rows, "Positions of a sequence", { least: 1, integer: true });
        return estimateMemory(graph, weights, rows, adapter.gpu.limits);
      },
      async loadWeights(graphs, given, { mutable = false, onProgress, signal }) {
        const source = mutable ? asF32(given, optimizedWeights(graphs)) : given;
        const alone = mutable || graphs.some(isTrainingGraph);
        return loadWeights(await adapter.alive(), graphs, source, { alone, onProgress, signal });
      },
      adapters: {
        readValues,
        async load(weights, graphs, source, signal) {
          weights.gpu.assertAlive();
          const options = { alone: false, onProgress: undefined, signal };
          const stacks = await loadWeights(weights.gpu, graphs, source, options);
          return { weights: weights.beside(stacks), bytes: stacks.bytes, free: () => stacks.free() };
        },
      },
      caches: {
        formats: ["f32", "f16", "bf16"],
        blockRows,
        allocate: ({ spec, format, blocks, what }) => new PoolMemory(adapter.gpu, spec, format, blocks, what),
      },
      async executor(graph, parameters, { outputs, signal }, register) {
        const { storage } = parameters;
        storage.gpu.assertAlive();
        const training = () => {
          assertPlaced(graph, storage.layout, ({ members }) => members.length === 1);
          return trainingExecutor(graph, parameters, { tensors: adapter.tensors(storage.gpu), meter, register });
        };
        if (isTrainingGraph(graph)) return training();
        // A table that stands below other rows is not found by its own numbers.
        assertPlaced(graph, storage.layout, ({ members }, as) => as === "matrix" || members.length === 1);
        const executor = await WebGpuExecutor.create(graph, storage, register, meter);
        try {
          await executor.prepare(outputs ?? graph.outputs.map((value) => ({ value, to: "host" })));
          signal.throwIfAborted();
          return new EitherExecutor(executor, training, (tensor) => tensor instanceof TrainingTensor);
        } catch (error) {
          await executor.free();
          throw error;
        }
      },
      release: () => adapter.gpu.dispose(),
    });
    this.meter = meter;
    this.#adapter = adapter;
  }

  /** What resources belong to that are made now; after a loss the next parameters open another one. */
  get gpu(): Gpu {
    return this.#adapter.gpu;
  }

  /** Buffers alive on the device and their bytes; both 0 when everything is disposed. */
  get live(): { readonly buffers: number; readonly bytes: number } {
    return { ...this.gpu.live };
  }
}

/** A GPU, and how to open another one. */
class Adapter {
  readonly #options: WebGpuOptions;
  readonly #tensors = new WeakMap<Gpu, TensorMemory>();
  #opened: OpenedDevice;

  constructor(options: WebGpuOptions, opened: OpenedDevice) {
    this.#options = options;
    this.#opened = opened;
  }

  get gpu(): Gpu {
    return this.#opened.gpu;
  }

  get info(): GPUAdapterInfo {
    return this.#opened.info;
  }

  /** Memory of tensors of training on a GPU. */
  tensors(gpu: Gpu): TensorMemory {
    const known = this.#tensors.get(gpu) ?? new TensorMemory(gpu);
    this.#tensors.set(gpu, known);
    return known;
  }

  /** The GPU; another one of the same adapter's kind where the last was lost and is ours. */
  async alive(): Promise<Gpu> {
    if (this.gpu.lost !== undefined && this.#options.device === undefined) {
      const { adapter: _, ...others } = this.#options; // an adapter gives one device only
      this.#opened = await openDevice(others);
    }
    this.gpu.assertAlive();
    return this.gpu;
  }
}

/** WebGPU does not tell what the whole device has; with the option `memory`, that is the total. */
function memoryOf({ memory: total, live }: Gpu): DeviceMemory {
  return { allocated: live.bytes, ...(Number.isFinite(total) && { total, free: total - live.bytes }) };
}

function describe({ gpu, info }: Adapter): DeviceInfo {
  return {
    backend: "webgpu",
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
