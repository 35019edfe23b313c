// The reference on its way through a part of the model, node by node, together with its perturbed runs. In a perturbed
// run every output is moved at random within the bound that a backend has there, and a multiple of the largest
// deviation that follows is what the backend is allowed. Bounds are those at the exact values: at the moved ones they
// are the same but for second order. Node by node, because then one weight at a time is in memory as float64 loops want
// it, and is read by all runs while it is.

import { reference, runWithBounds } from "@polyllama/backend-reference";
import {
  type Graph,
  type Node,
  operands,
  type RealArray,
  type Tensor,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";
import { type Device, type HostStep, loadGraph } from "@polyllama/core/device";
import { extract } from "../comparison/extract.ts";
import { noTolerance, type Tolerance, widen } from "../comparison/tolerance.ts";
import { random } from "../random.ts";

import { linearWork, products } from "./work.ts";

export interface Walker {
  readonly device: Device;
  /** Where each of its perturbed runs starts, [N, width of the input]. */
  readonly starts: readonly RealArray[];
}

export interface Walked {
  /** The exact value of every node, in the order of the nodes. */
  readonly exact: readonly Tensor[];
  /** For each walker, what it is allowed at every node, and where its perturbed runs end. */
  readonly walkers: readonly { readonly tolerances: readonly Tolerance[]; readonly ends: readonly RealArray[] }[];
}

export interface WalkOptions {
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** Counts multiply-adds per token as done. */
  advance(work: number): void;
}

type Values = Map<ValueName, RealArray>;

/** Evaluates a graph of one input of activations, exactly from `x` and perturbed from each walker's starts. */
export async function walk(
  graph: Graph,
  source: WeightSource,
  x: RealArray,
  walkers: readonly Walker[],
  { seed, signal, advance }: WalkOptions,
): Promise<Walked> {
  const input = graph.inputs[0]!.name; // one, as said above
  const lastUse = new Map<ValueName, Node>();
  for (const node of graph.nodes) for (const name of operands(node)) lastUse.set(name, node);

  const own: Values = new Map([[input, x]]);
  const exact: Tensor[] = [];
  const runs = walkers.map(({ starts }) => starts.map((start): Values => new Map([[input, start]])));
  const tolerances = walkers.map((): Tolerance[] => []);
  await using judge = reference();
  for (const node of graph.nodes) {
    const alone = extract(graph, [node]);
    const work = linearWork(alone);
    await using loaded = await loadGraph(judge, alone, source, signal && { signal });
    const step = (values: Values): HostStep => ({
      inputs: Object.fromEntries(operands(node).map((name) => [name, values.get(name)!])),
    });
    const forget = (values: Values): void => {
      for (const name of operands(node)) if (lastUse.get(name) === node) values.delete(name);
    };
    for (const [w, { device }] of walkers.entries()) {
      const { roundings } = device;
      const [bounded] = await runWithBounds(loaded, step(own), alone.outputs, roundings, signal);
      const { value, bound } = bounded!;
      if (w === 0) exact.push(value);
      advance(products(roundings) * work);
      const tolerance = noTolerance(value);
      for (const [run, values] of runs[w]!.entries()) {
        const [moved] = await loaded.run(step(values), alone.outputs, signal);
        const { uniform } = random(`${node.output} ${run}`, seed);
        const { data } = moved!;
        for (let i = 0; i < data.length; i++) data[i]! += bound.data[i]! * (2 * uniform() - 1);
        widen(tolerance, moved!);
        forget(values);
        values.set(node.output, data);
        advance(work);
      }
      tolerances[w]!.push(tolerance);
    }
    forget(own);
    own.set(node.output, exact.at(-1)!.data);
  }
  const end = graph.outputs[0]!;
  return {
    exact,
    walkers: walkers.map((_, w) => ({
      tolerances: tolerances[w]!,
      ends: runs[w]!.map((values) => values.get(end)!),
    })),
  };
}
