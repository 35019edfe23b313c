// Tensors of devices whose memory is the host's.

import type { ValueName } from "@polyllama/core";
import type { HostArray, OutputValue, Step } from "@polyllama/core/device";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { AcceptedStep, StepRun } from "../frame/program-frame.ts";
import { StepTensor, type TensorStorage } from "../frame/step-tensor.ts";

/** An array as the memory of a tensor; there when the step that computes it has run. */
export class HostMemory implements TensorStorage {
  /** The device. */
  readonly owner: object;
  data: HostArray | undefined;

  constructor(owner: object, data?: HostArray) {
    this.owner = owner;
    this.data = data;
  }

  /** A copy of the array. */
  async read(): Promise<HostArray> {
    return this.data!.slice(); // whoever reads has awaited the step
  }

  /** Forgets the array. */
  free(): void {
    this.data = undefined;
  }
}

/** Whether a tensor is an array of this device. */
export function isHostTensor(tensor: StepTensor, owner: object): boolean {
  return tensor.storage instanceof HostMemory && tensor.storage.owner === owner;
}

/** The arrays of a step's inputs, when it begins. */
export function inputArrays({ inputs }: Step): Readonly<Record<ValueName, HostArray>> {
  const entries = Object.entries(inputs).map(([name, input]): readonly [string, HostArray] => {
    if (!(input instanceof StepTensor)) return [name, input as HostArray]; // the frame lets in no other tensors
    return [name, (input.storage as HostMemory).data!]; // of this device, and computed by an earlier step
  });
  return Object.fromEntries(entries);
}

/** A step that is computed in one turn, the choice of its tokens included. */
export function hostRun(
  { step, places, record }: Pick<AcceptedStep<PoolStorage>, "step" | "places" | "record">,
  owner: object,
  compute: (signal: AbortSignal) => Promise<readonly OutputValue[]>,
): StepRun {
  const drawn = step.outputs.findIndex(({ to }) => to === "token");
  const count = places.outputRows[drawn]?.length;
  const memory = new HostMemory(owner);
  return {
    ...(count !== undefined && { tokens: new StepTensor([count, 1], "tokens", memory, record) }),
    begin: async (signal) => {
      const values = await compute(signal);
      const value = values[drawn];
      if (value?.to === "token") memory.data = value.tokens;
      return { outputs: Promise.resolve(values) };
    },
  };
}
