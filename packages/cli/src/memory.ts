// What running a model takes on a backend, in several formats and contexts.

import { blockSizes, columnCount, type FormatName, type MemoryEstimate, type WeightInfo } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { type Checkpoint, type LlamaConfig, llamaGraph } from "polyllama";
import type { BackendName } from "./backends.ts";

/** What running takes on one backend, with weights in one format, for one sequence of `context` tokens. */
export interface MemoryRow extends MemoryEstimate {
  readonly backend: BackendName;
  readonly format: string;
  readonly context: number;
  readonly total: number;
}

/** Estimates for the weights as they are stored and in other formats, for short contexts and the whole one. */
export function memoryRows(
  device: Device,
  name: BackendName,
  config: LlamaConfig,
  weights: Checkpoint["weights"],
): readonly MemoryRow[] {
  const graph = llamaGraph(config);
  const full = config.contextLength;
  const contexts = [...[512, 2048].filter((context) => context < full), full];
  return (["stored", "f16", "q8_0", "q4_0"] as const).flatMap((format) => {
    const infos = new Map(
      [...weights].map(([key, info]) => [key, format === "stored" ? info : inFormat(info, format)]),
    );
    return contexts.map((context) => {
      const { weights, cache, scratch } = device.estimateMemory(graph, infos, context);
      return { backend: name, format, context, weights, cache, scratch, total: weights + cache + scratch };
    });
  });
}

/** The tensor in another format; norms, and rows that are no whole number of blocks, stay as they are. */
function inFormat(info: WeightInfo, format: FormatName): WeightInfo {
  const fits = info.shape.length === 2 && columnCount(info) % blockSizes[format].blockSize === 0;
  return fits ? { ...info, format } : info;
}
