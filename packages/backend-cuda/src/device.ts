// A card as a device: weights, pools of KV blocks and programs on it. Nothing happens before the first use: making it
// costs nothing and needs no driver.

import type { DeviceInfo, FormatName } from "@polyllama/core";
import { cacheSpec, type Device } from "@polyllama/core/device";
import { asF32, formats, readValues } from "@polyllama/formats";
import {
  assertPlaced,
  type BlocksSize,
  DeviceFrame,
  EitherExecutor,
  isTrainingGraph,
  optimizedWeights,
  supportsHeads,
} from "@polyllama/planner";
import { blockBytes, blocksFor } from "./cache/layout.ts";
import { PoolMemory } from "./cache/pool-memory.ts";
import { Card } from "./card.ts";
import type { Gpu } from "./gpu.ts";
import { mostHeadDim } from "./kernels/heads.ts";
import { type CudaCacheFormat, cacheFormats, kvBlockRows } from "./kernels/row.ts";
import { chunkRows, tensorCoreCapability } from "./modes.ts";
import type { CudaOptions, TrainingFormat } from "./options.ts";
import { CudaExecutor } from "./program/executor.ts";
import { roundings } from "./roundings.ts";
import { capabilityText, versionText } from "./status.ts";
import { trainingExecutor } from "./training/executor.ts";
import { TrainingTensor } from "./training/tensors.ts";
import { placeExponents } from "./weights/exponents.ts";
import { planWeights } from "./weights/layout.ts";
import { loadWeights } from "./weights/load.ts";

/** A card that is opened when it is first used. */
export function cudaDevice(options: CudaOptions): Device {
  const { activations = "f16", cache = "f32", training: products = "f32" } = options;
  const card = new Card(options);
  const tensorCores = ({ capability }: Gpu): boolean => activations === "f16" && capability >= tensorCoreCapability;
  return new DeviceFrame({
    name: "cuda",
    roundings: roundings({ activations, cache, training: products }),
    formats: new Set(Object.keys(formats) as FormatName[]), // the record's own keys
    features: {
      outputs: ["host", "device", "token"],
      adjustments: false,
      stepsAhead: 2,
      invariantRows: false, // prompts are multiplied by other kernels
      adapters: true,
      updates: true,
      cacheExport: true,
      pagedCaches: true,
    },
    describe: () => describe(card.gpu, tensorCores(card.gpu), products),
    supports: (node) => supportsHeads("CUDA", node, mostHeadDim),
    memory: () => ({ allocated: card.gpu.allocated, ...card.gpu.memoryInfo() }),
    estimateMemory(graph, weights, rows) {
      const widest = Math.max(...graph.widths.values());
      const layout = planWeights([graph], weights);
      return {
        weights: layout.bytes + placeExponents(layout).bytes,
        cache: blocksFor(rows) * blockBytes(cacheSpec(graph), cache),
        scratch: 4 * Math.min(chunkRows, rows) * 6 * widest + (64 << 20),
      };
    },
    loadWeights(graphs, given, { mutable = false, onProgress, signal }) {
      const source = mutable ? asF32(given, optimizedWeights(graphs)) : given;
      const options = { signal, tensorCores: tensorCores(card.gpu), ...(onProgress && { onProgress }) };
      return loadWeights(card.gpu, graphs, source, options);
    },
    adapters: {
      readValues,
      async load(weights, graphs, source, signal) {
        const stacks = await loadWeights(card.gpu, graphs, source, { signal, tensorCores: false });
        return { weights: weights.beside(stacks), bytes: stacks.bytes, free: () => stacks.free() };
      },
    },
    caches: {
      formats: [cache, ...otherFormats(cache)],
      blockRows: kvBlockRows,
      allocate: ({ spec, format, blocks, what }: PoolBlocks) => new PoolMemory(card.gpu, spec, format, blocks, what),
    },
    async executor(graph, parameters, { outputs }, register) {
      const { storage } = parameters;
      const training = () => {
        // A table is found by its own numbers.
        assertPlaced(graph, storage.layout, ({ members }, as) => as === "matrix" || members.length === 1);
        // What only continues a step of training is not one whose roundings are declared: it is computed in f32.
        return trainingExecutor(graph, parameters, isTrainingGraph(graph) ? products : "f32", card.training, register);
      };
      if (isTrainingGraph(graph)) return training();
      const { multiplied } = storage.layout;
      assertPlaced(graph, storage.layout, (group, as) => as === "table" || multiplied.has(group));
      const { gpu, memories } = card;
      const { address: powers } = await card.powerTable();
      const executor = new CudaExecutor(graph, storage, { gpu, memories, powers, format: cache, register });
      executor.prepare(outputs ?? graph.outputs.map((value) => ({ value, to: "host" })));
      return new EitherExecutor(executor, training, (tensor) => tensor instanceof TrainingTensor);
    },
    release: () => card[Symbol.dispose](),
  });
}

/** What a pool asks for: of the formats that it is told there are. */
type PoolBlocks = BlocksSize & { readonly format: CudaCacheFormat };

function otherFormats(format: CudaCacheFormat): readonly CudaCacheFormat[] {
  return cacheFormats.filter((other) => other !== format);
}

function describe(gpu: Gpu, tensorCores: boolean, training: TrainingFormat): DeviceInfo {
  const { free, total } = gpu.memoryInfo();
  return {
    backend: "cuda",
    device: gpu.name,
    details: {
      "compute capability": capabilityText(gpu.capability),
      driver: `CUDA ${versionText(gpu.driver.version)}`,
      library: gpu.driver.path,
      kernels: gpu.images.target,
      activations: tensorCores ? "f16" : "f32",
      training,
      "memory, bytes": total,
      "free, bytes": free,
    },
  };
}
