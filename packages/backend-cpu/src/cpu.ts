// `cpu()` where there are native libraries: Node, Bun and Deno.

import { cpus, totalmem } from "node:os";
import type { Device } from "@polyllama/core/device";
import { cpuDevice } from "./device.ts";
import { openEngine } from "./native/engine.ts";
import { type CpuOptions, withDefaults } from "./options.ts";
import { localWeights } from "./packed/local-weights.ts";

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
  const { threads, activations, instructionSet, cacheFolder, cacheLimit, onNote } = withDefaults(given);
  return cpuDevice(activations, {
    open: () => openEngine({ threads, set: instructionSet }),
    processor: () => cpus()[0]?.model.trim() ?? process.arch,
    totalMemory: totalmem,
    weights: localWeights({ folder: cacheFolder, limit: cacheLimit, onNote }),
  });
}
