// The processor as a device: weights, pools of KV blocks and programs in memory of the library's own. Nothing is loaded
// before it is needed.

import { type FormatName, MemoryError } from "@polyllama/core";
import type { Device, DeviceFeatures } from "@polyllama/core/device";
import { asF32, formats, readValues } from "@polyllama/formats";
import {
  assertPlaced,
  DeviceFrame,
  EitherExecutor,
  isTrainingGraph,
  optimizedWeights,
  supportsHeads,
} from "@polyllama/planner";
import { PoolMemory } from "./cache/pool-memory.ts";
import { Machine } from "./machine.ts";
import { estimateMemory } from "./memory.ts";
import { type Activations, kvBlockRows, mostHeadDim } from "./modes.ts";
import type { Engine } from "./native/engine.ts";
import { CpuExecutor } from "./program/executor.ts";
import { roundings } from "./roundings.ts";
import { trainingExecutor } from "./training/executor.ts";
import { NativeTensor, tensorMemory } from "./training/tensors.ts";
import { planWeights } from "./weights/layout.ts";
import { loadWeights } from "./weights/load.ts";
import type { LocalWeights } from "./weights/local.ts";

/** What a device asks of where it runs. */
export interface Platform {
  /** A promise where the kernels have to be fetched. @throws {PolyllamaError} where there are none */
  open(): Engine | Promise<Engine>;
  /** Name of the processor. */
  processor(): string;
  /** Bytes; absent where it is not known. */
  totalMemory?(): number;
  /** Most bytes of weights; absent where memory alone limits them. */
  readonly mostWeightBytes?: number;
  /** Absent where there are no files. */
  readonly weights?: LocalWeights;
}

const features: DeviceFeatures = {
  outputs: ["host", "device", "token", "score"],
  adjustments: true,
  stepsAhead: 1, // a token is chosen on the host, before the next step can begin
  invariantRows: true, // each row by itself, in one order
  adapters: true,
  updates: true,
  pagedCaches: true,
  cacheExport: true,
};

/** A device whose engine is opened when it is first used. */
export function cpuDevice(activations: Activations, platform: Platform): Device {
  const machine = new Machine(() => platform.open());
  const tensors = tensorMemory(machine);
  return new DeviceFrame({
    name: "cpu",
    roundings: roundings(activations),
    formats: new Set(Object.keys(formats) as FormatName[]), // the record's own keys
    features,
    describe() {
      const { set, threads, library } = machine.engine;
      return {
        backend: "cpu",
        device: platform.processor(),
        details: { threads, activations, "instruction set": set, library },
      };
    },
    supports: (node) => supportsHeads("cpu", node, mostHeadDim),
    ...(platform.totalMemory && { totalMemory: platform.totalMemory }),
    estimateMemory: (graph, weights, rows) => estimateMemory(graph, weights, rows, activations),
    async loadWeights(graphs, given, { mutable = false, onProgress, signal }) {
      const source = mutable ? asF32(given, optimizedWeights(graphs)) : given;
      const { bytes } = planWeights(graphs, source.weights);
      const { mostWeightBytes: most = Number.POSITIVE_INFINITY } = platform;
      if (bytes > most) throw new MemoryError("The weights in WebAssembly", bytes, most, 0);
      await machine.open();
      // What is updated must not be a file that others read.
      const local = mutable || machine.engine.map === undefined ? undefined : platform.weights;
      return loadWeights(machine, graphs, source, local, { signal, ...(onProgress && { onProgress }) });
    },
    adapters: {
      readValues,
      async load(weights, graphs, source, signal) {
        const stacks = await loadWeights(machine, graphs, source, undefined, { signal });
        return { weights: weights.beside(stacks), bytes: stacks.bytes, free: () => stacks.free() };
      },
    },
    caches: {
      formats: ["f32", "f16", "bf16", "q8_0"],
      blockRows: kvBlockRows,
      allocate: ({ spec, format, blocks, what }) => new PoolMemory(machine, spec, format, blocks, what),
    },
    executor(graph, parameters, { outputs }, register) {
      const { storage, owner } = parameters;
      assertPlaced(graph, storage.layout, () => true);
      const training = () => trainingExecutor(graph, parameters, { machine, tensors, register });
      if (isTrainingGraph(graph)) return training();
      const executor = new CpuExecutor(graph, storage, machine, activations, owner);
      executor.prepare(outputs ?? graph.outputs.map((value) => ({ value, to: "host" })));
      return new EitherExecutor(executor, training, (tensor) => tensor instanceof NativeTensor);
    },
    release: () => machine.close(),
  });
}
