// The processor's part of running steps of graphs that train: memory of the library's own, and runs of its kernels.

import type { Graph } from "@polyllama/core";
import { type SharedParameters, type TensorRegister, type TensorStorage, TrainingExecutor } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Machine } from "../machine.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { TrainingMemory } from "./memory.ts";
import { runTraining } from "./run.ts";
import { NativeTensor, type TensorMemory } from "./tensors.ts";

/** What a device shares with programs that train. */
export interface TrainingParts {
  readonly machine: Machine;
  readonly tensors: TensorMemory;
  readonly register: TensorRegister;
}

/** @throws {UnsupportedError} for graphs with several inputs of tokens to look up */
export function trainingExecutor(
  graph: Graph,
  parameters: SharedParameters<LoadedWeights>,
  { machine, tensors, register }: TrainingParts,
): TrainingExecutor<NativeTensor, PoolMemory> {
  const { owner, storage: weights } = parameters;
  const memory = new TrainingMemory(machine);
  const use = tensors.use();
  const isTensor = (storage: TensorStorage): storage is NativeTensor => storage instanceof NativeTensor;
  const backend = {
    name: "cpu",
    isTensor,
    owns: (storage: TensorStorage) => isTensor(storage) && storage.owner === owner,
    allocate: (layout: NativeTensor["layout"], onFree: () => void) => new NativeTensor(owner, layout, tensors, onFree),
    run: (run: Parameters<typeof runTraining>[0], signal: AbortSignal) =>
      runTraining(run, { weights, memory, machine }, signal),
    writer: weights.writer.bind(weights),
    free() {
      memory[Symbol.dispose]();
      use[Symbol.dispose]();
    },
  };
  return new TrainingExecutor(graph, parameters, backend, register);
}
