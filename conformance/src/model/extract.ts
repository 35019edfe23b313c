// A part of a graph as a graph of its own, with the same names: what the part reads from outside becomes an input.

import { type Graph, type GraphInput, type Node, operands, type WeightName } from "@polyllama/core";

/** The graph of the given nodes, which are in the graph's order; its output is the last one's. */
export function extract(graph: Graph, nodes: readonly Node[]): Graph {
  const made = new Set(nodes.map(({ output }) => output));
  const read = new Set(nodes.flatMap(operands).filter((name) => !made.has(name)));
  const used = new Set(nodes.map(weightOf));
  const input = (name: string): GraphInput =>
    graph.inputs.find((own) => own.name === name) ?? { name, kind: "activations", width: graph.widths.get(name)! };
  return {
    inputs: [...read].map(input),
    weights: graph.weights.filter(({ name }) => used.has(name)),
    nodes,
    outputs: nodes.slice(-1).map(({ output }) => output),
    widths: new Map([...read, ...made].map((name) => [name, graph.widths.get(name)!])),
  };
}

/** The weight that a node reads. */
export function weightOf(node: Node): WeightName | undefined {
  switch (node.op) {
    case "embedding":
      return node.table;
    case "rmsNorm":
    case "linear":
      return node.weight;
    case "rope":
    case "attention":
    case "swiglu":
    case "add":
      return undefined;
  }
}
