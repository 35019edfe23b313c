// What of a graph stands outside the model: values that the host has, and the attentions whose keys and values lie in
// caches.

import type { AttentionNode, Graph, ValueName } from "@polyllama/core";

/** A graph's attentions, in order; caches are numbered alike. */
export function attentions(graph: Graph): readonly AttentionNode[] {
  return graph.nodes.filter((node): node is AttentionNode => node.op === "attention");
}

/** Values that the host has without running the model: inputs and embedded tokens. */
export function hostValues(graph: Graph): ReadonlySet<ValueName> {
  const values = new Set(graph.inputs.map(({ name }) => name));
  for (const node of graph.nodes) if (node.op === "embedding") values.add(node.output);
  return values;
}
