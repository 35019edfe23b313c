// A graph and its gradient on a device: the forward step, cotangents that the host makes of its values, and the backward
// step, which finds on the device what was kept.

import type { GradientGraphs, Tensor, ValueName, WeightName, WeightSource } from "@polyllama/core";
import type { Device, DeviceTensor, HostStep, Output, OutputValue, Parameters, Program } from "@polyllama/core/device";

/** Programs of a gradient, over parameters that others may share. */
export interface GradientPrograms extends AsyncDisposable {
  readonly graphs: GradientGraphs;
  readonly forward: Program;
  readonly backward: Program;
}

/** What a step gives. */
export interface Gradients {
  /** The differentiated values. */
  readonly values: ReadonlyMap<ValueName, Tensor>;
  readonly weights: ReadonlyMap<WeightName, Tensor>;
  readonly inputs: ReadonlyMap<ValueName, Tensor>;
}

type Cotangents = Readonly<Record<ValueName, Float32Array | Float64Array>>;

/** Compiles both graphs. @param parameters Were loaded for both. */
export async function compileGradient(
  device: Device,
  graphs: GradientGraphs,
  parameters: Parameters,
): Promise<GradientPrograms> {
  const forward = await device.compile(graphs.forward, parameters);
  const backward = await device.compile(graphs.backward, parameters);
  return {
    graphs,
    forward,
    backward,
    async [Symbol.asyncDispose]() {
      await backward[Symbol.asyncDispose]();
      await forward[Symbol.asyncDispose]();
    },
  };
}

/** Loads the weights of both graphs and runs them once. @param cotangents Of the differentiated values, from these. */
export async function gradientsOf(
  device: Device,
  graphs: GradientGraphs,
  weights: WeightSource,
  step: HostStep,
  cotangents: (values: ReadonlyMap<ValueName, Tensor>) => Cotangents,
): Promise<Gradients> {
  using parameters = await device.loadParameters([graphs.forward, graphs.backward], weights);
  await using programs = await compileGradient(device, graphs, parameters);
  return await runGradient(programs, step, cotangents);
}

/**
 * A forward step and its backward step, whose gradients come to the host.
 *
 * @param before Gradients of the micro-batches before, where the backward graph adds to them.
 */
export async function runGradient(
  { graphs, forward, backward }: GradientPrograms,
  { inputs, sequences = [] }: HostStep,
  cotangents: (values: ReadonlyMap<ValueName, Tensor>) => Cotangents,
  before: Pick<Gradients, "weights"> = { weights: new Map() },
): Promise<Gradients> {
  const of = [...graphs.cotangents.keys()];
  const outputs: readonly Output[] = [
    ...of.map((value): Output => ({ value, rows: "all", to: "host" })),
    ...graphs.kept.map((value): Output => ({ value, rows: "all", to: "device" })),
  ];
  const found = await forward.submit({ inputs, sequences, outputs }).result;
  const values = new Map(of.map((name, i) => [name, hostTensor(found[i])]));
  const kept = new Map(graphs.kept.map((name, i) => [name, deviceTensor(found[of.length + i])]));
  try {
    const given = cotangents(values);
    const named = [...graphs.cotangents].map(([name, input]) => [input, given[name]!] as const); // of all
    const isRead = (name: ValueName): boolean => graphs.backward.inputs.some((input) => input.name === name);
    const read = [...Object.entries(inputs), ...named].filter(([name]) => isRead(name));
    const added = [...before.weights].map(([name, { data }]) => [graphs.before.get(name)!, data] as const); // as it adds
    const wanted = [...graphs.weights.values(), ...graphs.inputs.values()];
    const gradients = await backward.submit({
      inputs: { ...Object.fromEntries([...read, ...added]), ...Object.fromEntries(kept) },
      sequences,
      outputs: wanted.map((value) => ({ value, rows: "all", to: "host" })),
    }).result;
    const tensors = new Map(wanted.map((name, i) => [name, hostTensor(gradients[i])]));
    const byName = <Name extends string>(names: ReadonlyMap<Name, ValueName>) =>
      new Map([...names].map(([name, value]) => [name, tensors.get(value)!])); // asked for above
    return { values, weights: byName(graphs.weights), inputs: byName(graphs.inputs) };
  } finally {
    for (const tensor of kept.values()) tensor[Symbol.dispose]();
  }
}

function hostTensor(value: OutputValue | undefined): Tensor {
  if (value?.to === "host") return value.tensor;
  throw new Error(`a value for the host went to ${value?.to}`);
}

function deviceTensor(value: OutputValue | undefined): DeviceTensor {
  if (value?.to === "device") return value.tensor;
  throw new Error(`a value for the device went to ${value?.to}`);
}
