// Weights on a device, as programs share them.

import {
  checkWeights,
  type Graph,
  MemoryError,
  type Progress,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { ParameterStorage } from "@polyllama/planner";
import type { Gpu } from "../gpu.ts";
import { scratchBytes } from "../memory.ts";
import { planWeights, type WeightLayout } from "./layout.ts";
import { allocateWeights, type DeviceWeights, uploadWeights } from "./upload.ts";

export class LoadedWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly bytes: number;
  readonly gpu: Gpu;
  readonly layout: WeightLayout;
  readonly buffers: DeviceWeights;

  constructor(gpu: Gpu, weights: ReadonlyMap<WeightName, WeightInfo>, layout: WeightLayout, buffers: DeviceWeights) {
    this.gpu = gpu;
    this.weights = weights;
    this.layout = layout;
    this.buffers = buffers;
    this.bytes = layout.bytes;
  }

  free(): void {
    for (const buffer of this.buffers.buffers) this.gpu.free(buffer);
  }
}

/** @throws {CheckpointError}; {@link MemoryError}; the signal's reason */
export async function loadWeights(
  gpu: Gpu,
  graphs: readonly Graph[],
  source: WeightSource,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
): Promise<LoadedWeights> {
  const infos = new Map(graphs.flatMap((graph) => checkWeights(graph, source)).map((info) => [info.name, info]));
  const layout = planWeights(graphs, infos, gpu.limits);
  const needed = layout.bytes + graphs.reduce((most, graph) => Math.max(most, scratchBytes(graph)), 0);
  const available = gpu.memory - gpu.live.bytes;
  if (needed > available) throw new MemoryError("The model", needed, available, 0);
  const loaded = new LoadedWeights(gpu, infos, layout, await allocateWeights(gpu, layout));
  try {
    await uploadWeights(loaded, source, onProgress, signal);
    return loaded;
  } catch (error) {
    loaded.free();
    throw error;
  }
}
