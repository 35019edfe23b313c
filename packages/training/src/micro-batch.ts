// The gradient of a part of a batch: a forward step, its loss on the host, and a backward step that finds on the device
// what was kept, and adds to the gradients of the parts before.

import type { GradientGraphs, ValueName, WeightName } from "@polyllama/core";
import type { DeviceTensor, HostArray, Output, OutputValue, Program } from "@polyllama/core/device";
import { languageLoss, logProbability, packedStep } from "./loss.ts";
import type { PackedSequence } from "./pack.ts";

/** Programs of a gradient, whose graphs lead from tokens and targets to log-probabilities. */
export interface GradientPrograms {
  readonly graphs: GradientGraphs;
  readonly forward: Program;
  readonly backward: Program;
}

/** Gradients on the device, by weight; whoever has them disposes them. */
export type Gradients = ReadonlyMap<WeightName, DeviceTensor>;

/** A part of a batch. */
export interface MicroBatch {
  readonly packed: readonly PackedSequence[];
  /** Weights of all rows of the batch. */
  readonly total: number;
  /** Gradients to add to, where the backward graph does; they stay the caller's. */
  readonly before?: Gradients | undefined;
}

/** A part's loss, and the gradients of all parts so far. */
export interface MicroBatchResult {
  readonly loss: number;
  readonly gradients: Gradients;
}

/** @throws what the device's steps throw. */
export async function runMicroBatch(
  { graphs, forward, backward }: GradientPrograms,
  { packed, total, before = new Map() }: MicroBatch,
  signal?: AbortSignal,
): Promise<MicroBatchResult> {
  const { inputs, sequences = [] } = packedStep(packed);
  const found = await forward.submit(
    {
      inputs,
      sequences,
      outputs: [{ value: logProbability, rows: "all", to: "host" }, ...graphs.kept.map(onDevice)],
    },
    signal,
  ).result;
  const kept = new Map(graphs.kept.map((name, i) => [name, deviceTensor(found[i + 1])]));
  try {
    const { loss, cotangent } = languageLoss(hostValues(found[0]), packed, total);
    const given = new Map<ValueName | undefined, HostArray | DeviceTensor>([
      ...Object.entries(inputs),
      ...kept,
      [graphs.cotangents.get(logProbability), cotangent],
      ...[...before].map(([weight, tensor]) => [graphs.before.get(weight), tensor] as const),
    ]);
    // An input that is missing is an error of the step.
    const read = graphs.backward.inputs.flatMap(({ name }) => (given.has(name) ? [[name, given.get(name)!]] : []));
    const outputs = [...graphs.weights.values()].map(onDevice);
    const step = { inputs: Object.fromEntries(read), sequences, outputs };
    const values = await backward.submit(step, signal).result;
    const gradients = new Map([...graphs.weights.keys()].map((weight, i) => [weight, deviceTensor(values[i])]));
    return { loss, gradients };
  } finally {
    for (const tensor of kept.values()) tensor[Symbol.dispose]();
  }
}

function onDevice(value: ValueName): Output {
  return { value, rows: "all", to: "device" };
}

/** Values of an output for the host. */
export function hostValues(value: OutputValue | undefined): Float32Array | Float64Array {
  if (value?.to === "host") return value.tensor.data;
  throw new TypeError(`an output for the host went to ${value?.to}`);
}

function deviceTensor(value: OutputValue | undefined): DeviceTensor {
  if (value?.to === "device") return value.tensor;
  throw new TypeError(`an output for the device went to ${value?.to}`);
}
