// The device's part of running steps of graphs that train.

import type { Graph } from "@polyllama/core";
import {
  type SharedParameters,
  type TensorLayout,
  type TensorRegister,
  type TensorStorage,
  TrainingExecutor,
  type TrainingRun,
} from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Meter } from "../program/meter.ts";
import { GpuTensor } from "../tensors.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { TrainingMemory } from "./memory.ts";
import { runTraining } from "./run.ts";
import { type TensorMemory, TrainingTensor } from "./tensors.ts";

/** What a device shares with programs that train. */
export interface TrainingParts {
  /** On the parameters' GPU. */
  readonly tensors: TensorMemory;
  readonly meter: Meter;
  readonly register: TensorRegister;
}

/** @throws {UnsupportedError} for graphs with several inputs of tokens to look up */
export function trainingExecutor(
  graph: Graph,
  parameters: SharedParameters<LoadedWeights>,
  { tensors, meter, register }: TrainingParts,
): TrainingExecutor<TrainingTensor, PoolMemory> {
  const { storage: weights } = parameters;
  const { gpu } = weights;
  const memory = new TrainingMemory(gpu);
  const use = tensors.use();
  const isTensor = (storage: TensorStorage): storage is TrainingTensor => storage instanceof TrainingTensor;
  const backend = {
    name: "WebGPU",
    isTensor,
    owns: (storage: TensorStorage) => (isTensor(storage) || storage instanceof GpuTensor) && storage.gpu === gpu,
    allocate: (layout: TensorLayout, onFree: () => void) => new TrainingTensor(layout, tensors, onFree),
    run: (run: TrainingRun<TrainingTensor>, signal: AbortSignal) =>
      runTraining(run, { gpu, weights, memory, meter }, signal),
    writer: weights.writer.bind(weights),
    free() {
      memory.free();
      use[Symbol.dispose]();
    },
  };
  return new TrainingExecutor(graph, parameters, backend, register);
}
