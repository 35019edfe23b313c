// The gradients of one batch, for whoever wants to look at them: to compare devices, or this project with another.

import { type Graph, gradient, type WeightName, type WeightSource, withLogProbabilities } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { totalWeight } from "./loss.ts";
import { type GradientPrograms, type Gradients, runMicroBatch } from "./micro-batch.ts";
import type { Batch } from "./trainer.ts";

/** A loss and its gradients, on the host. */
export interface BatchGradients {
  readonly loss: number;
  /** In the shapes of the weights; those that nothing of the batch depends on are missing. */
  readonly gradients: ReadonlyMap<WeightName, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>;
}

/**
 * The loss of a batch, and its gradient by each weight.
 *
 * @param graph Leads from `tokens` to logits, as `llamaGraph` does.
 * @throws {UnsupportedError} of a device that computes no gradients; what its steps throw.
 */
export async function batchGradients(
  device: Device,
  graph: Graph,
  source: WeightSource,
  batch: Batch,
  signal?: AbortSignal,
): Promise<BatchGradients> {
  const model = withLogProbabilities(graph);
  const [first, more] = [gradient(model), gradient(model, { accumulate: true })];
  const options = signal === undefined ? {} : { signal };
  const parameters = await device.loadParameters([first.forward, first.backward, more.backward], source, options);
  try {
    await using forward = await device.compile(first.forward, parameters, options);
    await using backward = await device.compile(first.backward, parameters, options);
    await using backwardMore = await device.compile(more.backward, parameters, options);
    const programs = (isFirst: boolean): GradientPrograms => {
      return isFirst ? { graphs: first, forward, backward } : { graphs: more, forward, backward: backwardMore };
    };
    const total = batch.reduce((sum, packed) => sum + totalWeight(packed), 0);
    let loss = 0;
    let gradients: Gradients | undefined;
    try {
      for (const packed of batch) {
        const before = gradients;
        const found = await runMicroBatch(programs(before === undefined), { packed, total, before }, signal);
        for (const tensor of before?.values() ?? []) tensor[Symbol.dispose]();
        gradients = found.gradients;
        loss += found.loss;
      }
      const shapes = new Map(model.weights.map(({ name, shape }) => [name, shape]));
      const read = [...(gradients ?? [])].map(async ([name, tensor]) => {
        return [name, { shape: shapes.get(name) ?? tensor.shape, data: await tensor.read(signal) }] as const;
      });
      return { loss, gradients: new Map(await Promise.all(read)) };
    } finally {
      for (const tensor of gradients?.values() ?? []) tensor[Symbol.dispose]();
    }
  } finally {
    parameters[Symbol.dispose]();
  }
}
