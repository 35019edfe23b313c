// Holds a device's gradients against central differences of its own values: for devices that compute in float64.

import { gradient, type Tensor, type ValueName } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { differenceTolerance } from "../comparison/constants.ts";
import { both, exact, type Finding } from "../comparison/measure.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import type { GradientCase, GradientScript } from "./cases.ts";
import { centralDifferences, relativeDifference } from "./differences.ts";
import { gradientsOf } from "./run.ts";

/** A gradient by a weight or an input, both ways. */
export interface ComparedGradient {
  readonly name: string;
  readonly gradient: Tensor;
  readonly differences: Float64Array;
}

/** The worst relative difference, as a share of what is allowed. */
export async function checkGradient(testCase: GradientCase, device: Device, seed: number): Promise<Finding> {
  let finding = exact;
  for (const compared of await compareGradients(testCase, device, seed)) finding = both(finding, judged(compared));
  return finding;
}

function judged({ name, gradient: { data }, differences }: ComparedGradient): Finding {
  const relative = relativeDifference(data, differences);
  if (relative <= differenceTolerance) return { worst: relative / differenceTolerance, problem: undefined };
  const problem = `the gradient by "${name}" is off by ${relative.toPrecision(3)} of its norm`;
  return { worst: Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative / differenceTolerance, problem };
}

/** Gradients by all weights that are f32 and all inputs, of a sum of the outputs with random factors. */
export async function compareGradients(
  { address, build }: GradientCase,
  device: Device,
  seed: number,
): Promise<readonly ComparedGradient[]> {
  const { graph, weights, step } = build(seed);
  const reals = graph.inputs.filter(({ kind }) => kind !== "tokens").map(({ name }) => name);
  const stream = random(`cotangents of ${address}`, seed);
  const rows = (step.sequences ?? []).reduce((sum, part) => sum + part.rows, 0);
  const cotangents = Object.fromEntries(
    graph.outputs.map((name) => {
      const elements = rows * graph.widths.get(name)!; // a value of the graph
      return [name, Float64Array.from({ length: elements }, () => stream.normal())] as const;
    }),
  );
  const source = memoryWeights(weights);
  const found = await gradientsOf(device, gradient(graph, { inputs: reals }), source, step, () => cotangents);
  const compared: ComparedGradient[] = [];
  const compare = async (
    name: string,
    values: Float32Array | Float64Array,
    tensor: Tensor | undefined,
  ): Promise<void> => {
    if (tensor === undefined) throw new Error(`there is no gradient by "${name}"`);
    const differences = await centralDifferences(values, () => weighted(device, { graph, weights, step }, cotangents));
    compared.push({ name, gradient: tensor, differences });
  };
  for (const name of reals) await compare(name, step.inputs[name] as Float64Array, found.inputs.get(name)); // of reals
  for (const { name, bytes, format } of weights) {
    if (format !== "f32") continue; // there are no steps between blocks
    await compare(name, new Float32Array(bytes.buffer), found.weights.get(name)); // which `bytes` are a view of
  }
  return compared;
}

/** The sum of all outputs, each element times its factor. */
async function weighted(
  device: Device,
  { graph, weights, step }: GradientScript,
  factors: Readonly<Record<ValueName, Float64Array>>,
): Promise<number> {
  await using loaded = await loadGraph(device, graph, memoryWeights(weights));
  const values = await loaded.run(step, graph.outputs);
  let sum = 0;
  for (const [i, { data }] of values.entries()) {
    const own = factors[graph.outputs[i]!]!; // one for each
    for (const [at, value] of data.entries()) sum += own[at]! * value;
  }
  return sum;
}
