// One layer alone on each backend, fed with what the reference computed up to there, against an estimated tolerance:
// its output as in use, then all inner values.

import { type Graph, llamaLayerGraph, type RealArray, type Tensor } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { at } from "../comparison/measure.ts";
import { measureTolerance, type Tolerance } from "../comparison/tolerance.ts";
import { type Context, localName, roundedValues } from "./context.ts";
import { compareOperation } from "./operations.ts";
import { exceeds, type LayerFinding, larger, type Measured, measured } from "./result.ts";
import { attempt, type Rival } from "./rival.ts";
import { walk } from "./walk.ts";

/**
 * Compares a layer, and its operations where asked or where it differs. The rivals' perturbed runs move on through it.
 *
 * @param x The layer's exact input [N, D].
 * @returns its exact output [N, D].
 */
export async function compareLayer(
  context: Context,
  rivals: readonly Rival[],
  layer: number,
  x: RealArray,
  withOperations: boolean,
): Promise<RealArray> {
  const { source, runs } = context;
  const graph = llamaLayerGraph(source.config, layer);
  const rounded = Float32Array.from(x);
  const starts = Array.from({ length: runs }, () => rounded);
  const fresh = rivals.map(({ device }) => ({ device, starts }));
  const alone = await walk(graph, source, rounded, fresh, context);
  const values = roundedValues(graph, rounded, alone.exact);
  for (const [i, rival] of rivals.entries()) {
    // one for each
    rival.layers.push(await runLayer(context, rival, graph, layer, rounded, alone.walkers[i]!.tolerances));
  }
  const suspects = rivals.filter(({ layers }) => withOperations || exceeds(layers.at(-1)!.worst)); // just added
  for (const node of graph.nodes) await compareOperation(context, suspects, layer, graph, node, values);

  const moving = rivals.map(({ device, chains }) => ({ device, starts: chains }));
  const { exact, walkers } = await walk(graph, source, x, moving, context);
  for (const [i, rival] of rivals.entries()) rival.chains = walkers[i]!.ends; // one for each
  return exact.at(-1)!.data; // a layer has values
}

async function runLayer(
  { source, signal }: Context,
  { device }: Rival,
  graph: Graph,
  layer: number,
  x: Float32Array,
  tolerances: readonly Tolerance[],
): Promise<LayerFinding> {
  const { nodes, outputs } = graph;
  const compare = (actual: Tensor, i: number): Measured =>
    measured(at(nodes[i]!.output, measureTolerance(actual, tolerances[i]!))); // one for each
  return attempt<LayerFinding>(
    signal,
    async () => {
      await using loaded = await loadGraph(device, graph, source, signal && { signal });
      const [output] = (await loaded.run({ inputs: { x } }, outputs, signal)) as [Tensor]; // a layer has one
      const whole = compare(output, nodes.length - 1);
      const names = nodes.map((node) => node.output);
      const inner = (await loaded.run({ inputs: { x } }, names, signal)).map(compare);
      const values = nodes.map((node, i) => ({ value: localName(node.output), op: node.op, worst: inner[i]!.worst }));
      const [first = whole] = inner.filter(({ worst }) => exceeds(worst));
      const worst = inner.reduce((most, { worst }) => larger(most, worst), whole.worst);
      return { layer, worst, problem: first.problem, output: whole.worst, values };
    },
    (problem) => ({ layer, worst: null, problem, output: null, values: [] }),
  );
}
