// The device's part of running steps of graphs that train.

import { type Graph, UnsupportedError } from "@polyllama/core";
import {
  type SharedParameters,
  type TensorLayout,
  type TensorRegister,
  type TensorStorage,
  TrainingExecutor,
  type TrainingRun,
} from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import { tensorCoreCapability } from "../modes.ts";
import type { TrainingFormat } from "../options.ts";
import { capabilityText } from "../status.ts";
import { CudaTensor } from "../tensors.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { TrainingMemory } from "./memory.ts";
import { runTraining } from "./run.ts";
import { type TensorPool, TrainingTensor } from "./tensors.ts";

/**
 * @param products What operands of linears and of their gradients are rounded to.
 * @throws {UnsupportedError} for graphs with several inputs of tokens to look up, and for bf16 on cards without it
 */
export function trainingExecutor(
  graph: Graph,
  parameters: SharedParameters<LoadedWeights>,
  products: TrainingFormat,
  tensors: TensorPool,
  register: TensorRegister,
): TrainingExecutor<TrainingTensor, PoolMemory> {
  const { storage: weights } = parameters;
  const { gpu } = weights;
  if (products === "bf16" && gpu.capability < tensorCoreCapability) {
    const problem = `Training in bf16 needs compute capability 8.0; ${gpu.name} has ${capabilityText(gpu.capability)}`;
    throw new UnsupportedError(problem, 'Leave out training: "bf16".', { format: "bf16" });
  }
  const memory = new TrainingMemory(gpu);
  const use = tensors.use();
  const isTensor = (storage: TensorStorage): storage is TrainingTensor => storage instanceof TrainingTensor;
  const backend = {
    name: "CUDA",
    isTensor,
    owns: (storage: TensorStorage) => (isTensor(storage) || storage instanceof CudaTensor) && storage.gpu === gpu,
    allocate: (layout: TensorLayout, onFree: () => void) => new TrainingTensor(layout, tensors, onFree),
    run: (run: TrainingRun<TrainingTensor>, signal: AbortSignal) =>
      runTraining(run, { weights, memory, products }, signal),
    writer: weights.writer.bind(weights),
    async free() {
      await gpu.finished().catch(() => undefined); // what was enqueued uses the memory; that the card is lost was told
      memory[Symbol.dispose]();
      use[Symbol.dispose]();
    },
  };
  return new TrainingExecutor(graph, parameters, backend, register);
}
