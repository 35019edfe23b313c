// A graph of inference whose steps may be of training, too: those that update weights, or take tensors of training.

import { isDeviceTensor } from "@polyllama/core/device";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { AcceptedStep, StepExecutor, StepRun } from "../frame/program-frame.ts";
import { StepTensor, type TensorStorage } from "../frame/step-tensor.ts";

export class EitherExecutor<Pool extends PoolStorage> implements StepExecutor<Pool> {
  readonly #inference: StepExecutor<Pool>;
  readonly #makeTraining: () => StepExecutor<Pool>;
  readonly #isTraining: (storage: TensorStorage) => boolean;
  #training: StepExecutor<Pool> | undefined;

  /**
   * @param makeTraining Called when the first step of training comes.
   * @param isTraining Whether a tensor is one that steps of training compute.
   */
  constructor(
    inference: StepExecutor<Pool>,
    makeTraining: () => StepExecutor<Pool>,
    isTraining: (storage: TensorStorage) => boolean,
  ) {
    this.#inference = inference;
    this.#makeTraining = makeTraining;
    this.#isTraining = isTraining;
  }

  owns(tensor: StepTensor): boolean {
    return this.#inference.owns(tensor) || (this.#isTraining(tensor.storage) && this.#trained().owns(tensor));
  }

  accept(accepted: AcceptedStep<Pool>): StepRun {
    const { inputs, updates = {} } = accepted.step;
    const trains =
      Object.keys(updates).length > 0 ||
      Object.values(inputs).some(
        (input) => isDeviceTensor(input) && input instanceof StepTensor && this.#isTraining(input.storage),
      );
    return (trains ? this.#trained() : this.#inference).accept(accepted);
  }

  #trained(): StepExecutor<Pool> {
    this.#training ??= this.#makeTraining();
    return this.#training;
  }

  async free(): Promise<void> {
    await this.#inference.free();
    await this.#training?.free();
  }
}
