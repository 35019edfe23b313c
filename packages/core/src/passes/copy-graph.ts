// What graph passes share: a graph is copied into a builder node by node, and what nobody needs of a graph is left out.

import type { Graph, GraphBuilder, GraphInput } from "../graph.ts";
import type { Value, ValueName, WeightName, WeightSpec } from "../op.ts";
import { type Node, operands, parameters, results } from "../ops/index.ts";

/** Declares an input of another graph. */
export function copyInput(g: GraphBuilder, input: GraphInput): Value {
  switch (input.kind) {
    case "tokens":
      return g.tokens(input.name);
    case "activations":
      return g.activations(input.name, input.width);
    case "fixed":
      return g.fixed(input.name, input.shape);
  }
}

/** The weights of a graph by name, declared in another one when they are first asked for. */
export function weightsOf(g: GraphBuilder, graph: Graph): (name: WeightName) => WeightSpec {
  const shapes = new Map(graph.weights.map(({ name, shape }) => [name, shape]));
  return (name) => g.weight(name, shapes.get(name)!); // whoever asks has the name from a node of the graph
}

/**
 * Copies the inputs and nodes of a graph.
 *
 * @param copy What becomes of a node: values by the names of its results.
 * @returns all values of the copy by their names in the graph.
 */
export function copyGraph(
  g: GraphBuilder,
  graph: Graph,
  copy: (node: Node, value: (name: ValueName) => Value) => readonly Value[],
): ReadonlyMap<ValueName, Value> {
  const values = new Map(graph.inputs.map((input) => [input.name, copyInput(g, input)]));
  for (const node of graph.nodes) {
    const made = copy(node, (name) => values.get(name)!); // a node comes after what it reads
    for (const value of made) values.set(value.name, value);
  }
  return values;
}

/** The part of a graph that the given values are computed from; they are its outputs. */
export function pruned(graph: Graph, outputs: readonly ValueName[]): Graph {
  const needed = new Set(outputs);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!results(node).some((name) => needed.has(name))) continue;
    nodes.unshift(node);
    for (const name of operands(node)) needed.add(name);
  }
  const inputs = graph.inputs.filter(({ name }) => needed.has(name));
  const used = new Set(nodes.flatMap(parameters));
  const values = new Set([...inputs.map(({ name }) => name), ...nodes.flatMap(results)]);
  const kept = <T>(all: ReadonlyMap<ValueName, T>) => new Map([...all].filter(([name]) => values.has(name)));
  const weights = graph.weights.filter(({ name }) => used.has(name));
  return { inputs, weights, nodes, outputs, types: kept(graph.types), widths: kept(graph.widths) };
}
