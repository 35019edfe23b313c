// A graph of inference whose steps may be of training, too: those that update weights, or take tensors of training.

import { isDeviceTensor } from "@polyllama/core/device";
import { type AcceptedStep, type StepExecutor, type StepRun, StepTensor } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import { NativeTensor } from "./tensors.ts";

export class EitherExecutor implements StepExecutor<PoolMemory> {
  readonly #inference: StepExecutor<PoolMemory>;
  readonly #makeTraining: () => StepExecutor<PoolMemory>;
  #training: StepExecutor<PoolMemory> | undefined;

  /** @param makeTraining Called when the first step of training comes. */
  constructor(inference: StepExecutor<PoolMemory>, makeTraining: () => StepExecutor<PoolMemory>) {
    this.#inference = inference;
    this.#makeTraining = makeTraining;
  }

  owns(tensor: StepTensor): boolean {
    return this.#inference.owns(tensor) || (tensor.storage instanceof NativeTensor && this.#trained().owns(tensor));
  }

  accept(accepted: AcceptedStep<PoolMemory>): StepRun {
    const { inputs, updates = {} } = accepted.step;
    const trains =
      Object.keys(updates).length > 0 ||
      Object.values(inputs).some(
        (input) => isDeviceTensor(input) && input instanceof StepTensor && input.storage instanceof NativeTensor,
      );
    return (trains ? this.#trained() : this.#inference).accept(accepted);
  }

  #trained(): StepExecutor<PoolMemory> {
    this.#training ??= this.#makeTraining();
    return this.#training;
  }

  async free(): Promise<void> {
    await this.#inference.free();
    await this.#training?.free();
  }
}
