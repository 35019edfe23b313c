// What is computed for a set of wanted values, and for which rows. Most runs want logits of the last row alone, so every value that no
// attention depends on is computed only for the rows that the input `selection` lists: after the last attention a prompt of 512 rows
// continues as one. Attention and rotation need all rows; what follows them is selected from their result.

import {
  type AttentionNode,
  appended,
  type Graph,
  type Node,
  type OpName,
  operands,
  type ValueName,
} from "@polyllama/core";

/** All rows of a run, or those that the input `selection` lists. */
export type Need = "all" | "selected";

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

/** Whether a row of the result depends on nothing but the same row of the operands. */
const rowWise: Readonly<Record<OpName, boolean>> = {
  embedding: true,
  rmsNorm: true,
  linear: true,
  rope: false,
  attention: false,
  swiglu: true,
  add: true,
};

/** Which values are needed, for all rows or for the selected ones alone: consumers first, so in reverse. */
export function findNeeds(
  graph: Graph,
  wanted: ReadonlySet<ValueName>,
  fillsCaches: boolean,
): ReadonlyMap<ValueName, Need> {
  const host = hostValues(graph);
  const needs = new Map<ValueName, Need>();
  const demand = (value: ValueName, need: Need): void => {
    if (needs.get(value) !== "all") needs.set(value, need);
  };
  for (const value of wanted) if (!host.has(value)) demand(value, "selected");
  for (const node of [...graph.nodes].reverse()) {
    if (fillsCaches && appended(node).length > 0) demand(node.output, "all");
    if (!needs.has(node.output) || host.has(node.output)) continue;
    if (!rowWise[node.op]) demand(node.output, "all");
    for (const value of operands(node)) demand(value, needs.get(node.output)!);
  }
  return needs;
}

/** The nodes that read a value, of those that are needed. */
export function findConsumers(
  graph: Graph,
  needs: ReadonlyMap<ValueName, Need>,
): ReadonlyMap<ValueName, readonly Node[]> {
  const consumers = new Map<ValueName, Node[]>();
  for (const node of graph.nodes) {
    if (!needs.has(node.output)) continue;
    for (const value of operands(node)) consumers.set(value, [...(consumers.get(value) ?? []), node]);
  }
  return consumers;
}
