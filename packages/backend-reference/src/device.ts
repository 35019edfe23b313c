// The reference as a device: float64 loops that say what every operation means. Slow, obvious, and exact enough to judge the others by.

import {
  type AttentionNode,
  columnCount,
  type Graph,
  type MemoryEstimate,
  PolyllamaError,
  type RoundingProfile,
  rowCount,
  showBriefly,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import type { CacheSpec, Device, DeviceFeatures, Parameters, PoolMemory } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { PagedPool, ProgramFrame, poolBlocks, Resources, SharedParameters, StepQueue } from "@polyllama/planner";
import { ReferenceExecutor } from "./executor.ts";
import { blockBytes, blockRows, ReferenceBlocks } from "./kv-blocks.ts";
import { loadWeights, ReferenceParameters } from "./parameters.ts";
import type { Perturbation } from "./perturb.ts";

const roundings: RoundingProfile = {
  unit: 2 ** -53,
  flushesSubnormals: false,
  exp: 2,
  cache: "f64",
  sources: ["ECMAScript: Number is IEEE 754 binary64", "V8: Math.exp is fdlibm's, within 1 ulp"],
};

const features: DeviceFeatures = {
  outputs: ["host", "device", "token", "score"],
  adjustments: true,
  stepsAhead: 1,
  adapters: true,
  updates: true,
  pagedCaches: true,
  cacheExport: true,
};

/** @param perturb Errors to move every operation's output by. */
export function referenceDevice(perturb?: Perturbation): Device {
  const resources = new Resources();
  const queue = new StepQueue();
  const pools = new Set<PagedPool<ReferenceBlocks>>();
  const loaded = new Set<SharedParameters<ReferenceParameters>>();

  const own = (parameters: Parameters): SharedParameters<ReferenceParameters> => {
    for (const each of loaded) if (each === parameters) return each;
    throw new PolyllamaError("ERR_PARAMETERS", "These parameters are another device's; load them with this one.");
  };

  const device: Device = {
    name: "reference",
    roundings,
    formats: new Set(Object.keys(formats) as (keyof typeof formats)[]), // its own keys
    features,
    describe: () => ({ backend: "reference", device: "float64 in JavaScript", details: {} }),
    supports: () => true,
    async memory() {
      let allocated = 0;
      for (const { bytes } of loaded) allocated += bytes;
      for (const { storage } of pools) allocated += storage.allocated;
      return { allocated };
    },
    estimateMemory,
    loadParameters: (graphs, source, options = {}) =>
      resources.load(options.signal, async (signal) => {
        const weights = await loadWeights(graphs, source, options.onProgress, signal);
        const onFree = (): void => {
          loaded.delete(parameters);
          resources.delete(parameters);
        };
        const { mutable = false } = options;
        const parameters = new SharedParameters(new ReferenceParameters(weights), device, { mutable, onFree });
        loaded.add(parameters);
        resources.add(parameters);
        return parameters;
      }),
    cachePool(spec: CacheSpec, memory: PoolMemory) {
      resources.assertAlive();
      const { format = "f32" } = memory;
      const blocks = poolBlocks(memory, blockRows);
      const onFree = (): void => {
        pools.delete(pool);
        resources.delete(pool);
      };
      const storage = new ReferenceBlocks(spec, format, blocks);
      const settled = (): Promise<void> => queue.settled();
      const pool = new PagedPool({ spec, format, blockRows, blocks, storage, owner: device, settled, onFree });
      pools.add(pool);
      resources.add(pool);
      return pool;
    },
    async compile(graph, given, { signal } = {}) {
      resources.assertAlive();
      signal?.throwIfAborted();
      const parameters = own(given);
      const executor = new ReferenceExecutor(graph, parameters, perturb);
      const onDispose = (): void => resources.delete(program);
      const program = new ProgramFrame({ graph, parameters, owner: device, queue, executor, onDispose });
      resources.addProgram(program);
      return program;
    },
    [Symbol.asyncDispose]: () => resources.dispose(),
  };
  return showBriefly(device, "Device", ({ name }) => ({ name }), true);
}

function estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, rows: number): MemoryEstimate {
  const used = graph.weights.map(({ name }) => weights.get(name)).filter((info) => info !== undefined);
  const attentions: readonly AttentionNode[] = graph.nodes.filter((node) => node.op === "attention");
  const widest = Math.max(...graph.widths.values());
  const widths = attentions.map(({ kvHeads, headDim }) => kvHeads * headDim);
  return {
    weights: used.reduce((sum, info) => sum + 4 * rowCount(info) * columnCount(info), 0),
    cache: Math.ceil(rows / blockRows) * blockBytes(widths, blockRows),
    scratch: 8 * 8 * widest * Math.min(rows, 512),
  };
}
