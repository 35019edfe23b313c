// A part of a graph as a graph of its own, with the same names: what the part reads from outside becomes an input.

import { type Graph, type GraphInput, isFixed, type Node, operands, parameters, results } from "@polyllama/core";

/** The graph of the given nodes, which are in the graph's order; its output is the last one's. */
export function extract(graph: Graph, nodes: readonly Node[]): Graph {
  const made = new Set(nodes.flatMap(results));
  const read = new Set(nodes.flatMap(operands).filter((name) => !made.has(name)));
  const used = new Set(nodes.flatMap(parameters));
  const input = (name: string): GraphInput => {
    const [own, type, width] = [
      graph.inputs.find((each) => each.name === name),
      graph.types.get(name)!,
      graph.widths.get(name)!,
    ];
    if (own !== undefined) return own;
    if (!isFixed(type)) return { name, kind: "activations", width };
    return { name, kind: "fixed", shape: type.shape.map(Number), width }; // its dimensions are numbers
  };
  const values = [...read, ...made];
  return {
    inputs: [...read].map(input),
    weights: graph.weights.filter(({ name }) => used.has(name)),
    nodes,
    outputs: nodes.slice(-1).map(({ output }) => output),
    types: new Map(values.map((name) => [name, graph.types.get(name)!])),
    widths: new Map(values.map((name) => [name, graph.widths.get(name)!])),
  };
}
