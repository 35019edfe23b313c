// The processor as a device: weights, pools of KV blocks and programs in memory of the library's own. Nothing is loaded
// before it is needed.

import { cpus, totalmem } from "node:os";
import type { FormatName } from "@polyllama/core";
import { cacheSpec, type Device, type DeviceFeatures } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { assertPlaced, DeviceFrame, supportsHeads } from "@polyllama/planner";
import { blockBytes, blocksFor } from "./cache/layout.ts";
import { PoolMemory } from "./cache/pool-memory.ts";
import { Machine } from "./machine.ts";
import { chunkRows, kvBlockRows, mostHeadDim } from "./modes.ts";
import { type CpuOptions, withDefaults } from "./options.ts";
import { CpuExecutor } from "./program/executor.ts";
import { roundings } from "./roundings.ts";
import { planWeights } from "./weights/layout.ts";
import { loadWeights } from "./weights/load.ts";

const features: DeviceFeatures = {
  outputs: ["host", "device", "token", "score"],
  adjustments: true,
  stepsAhead: 1, // a token is chosen on the host, before the next step can begin
  adapters: false,
  updates: false,
  pagedCaches: true,
  cacheExport: true,
};

/**
 * The processor, by kernels of this package for its instruction set.
 *
 * Weights are kept at their stored bits in memory of the library's own; KV blocks have 32 positions. A row's values do
 * not depend on what is computed with it: not on the batch, the threads, or whether it is decoded or part of a prompt.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where there is no library for the platform, what is done first with the device
 * says so.
 */
export function cpu(given: CpuOptions = {}): Device {
  const options = withDefaults(given);
  const { activations } = options;
  const machine = new Machine(options);
  return new DeviceFrame({
    name: "cpu",
    roundings: roundings(activations),
    formats: new Set(Object.keys(formats) as FormatName[]), // the record's own keys
    features,
    describe() {
      const { set, threads, library } = machine.engine;
      return {
        backend: "cpu",
        device: cpus()[0]?.model.trim() ?? process.arch,
        details: { threads, activations, "instruction set": set, library },
      };
    },
    supports: (node) => supportsHeads("cpu", node, mostHeadDim),
    totalMemory: totalmem,
    estimateMemory(graph, weights, rows) {
      const widest = Math.max(...graph.widths.values());
      return {
        weights: planWeights([graph], weights).bytes,
        cache: blocksFor(rows) * blockBytes(cacheSpec(graph), "f32"),
        scratch: 4 * Math.min(chunkRows, rows) * 6 * widest + (16 << 20),
      };
    },
    loadWeights: (graphs, source, { onProgress, signal }) =>
      loadWeights(machine, graphs, source, { signal, ...(onProgress && { onProgress }) }),
    caches: {
      formats: ["f32", "f16", "bf16"],
      blockRows: kvBlockRows,
      allocate: ({ spec, format, blocks, what }) => new PoolMemory(machine, spec, format, blocks, what),
    },
    executor(graph, { storage, owner }, { outputs }) {
      assertPlaced(graph, storage.layout, () => true);
      const executor = new CpuExecutor(graph, storage, machine, activations, owner);
      executor.prepare(outputs ?? graph.outputs.map((value) => ({ value, to: "host" })));
      return executor;
    },
    release: () => machine.close(),
  });
}
