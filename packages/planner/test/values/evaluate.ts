// The values of a graph, as its operations say.

import { byOp, forTraining, type Graph, type PerNode, type ValueName } from "@polyllama/core";
import type { Batch } from "./batch.ts";
import { added, attended, gated, multiplied, normed, type Past, type Row, turned, turns } from "./rows.ts";

export interface Evaluated {
  /** By value, a row for each row of the step. */
  readonly values: ReadonlyMap<ValueName, readonly Row[]>;
  /** What the caches hold then, by attention and sequence. */
  readonly pasts: readonly (readonly Past[])[];
}

interface Evaluating extends Evaluated {
  readonly graph: Graph;
  readonly batch: Batch;
  readonly values: Map<ValueName, readonly Row[]>;
}

export function evaluate(graph: Graph, batch: Batch): Evaluated {
  const e: Evaluating = { graph, batch, values: new Map(batch.inputs), pasts: batch.pasts() };
  for (const node of graph.nodes) e.values.set(node.output, byOp(rules, node, e));
  return e;
}

const rules: PerNode<[Evaluating], readonly Row[]> = {
  embedding: ({ tokens, table }, { values, batch }) =>
    values.get(tokens)!.map(([token = 0]) => batch.weights.get(table)![token]!),
  rmsNorm: ({ x, weight, eps }, { values, batch }) =>
    values.get(x)!.map((row) => normed(row, batch.weights.get(weight)![0]!, eps)),
  linear: ({ x, weight }, { values, batch }) =>
    values.get(x)!.map((row) => multiplied(row, batch.weights.get(weight)!)),
  rope: (node, { values, batch }) =>
    values.get(node.x)!.map((row, n) => turned(row, turns(node, batch.places[n]!.position))),
  attention(node, { graph, values, batch, pasts }) {
    const own = pasts[graph.nodes.filter(({ op }) => op === "attention").indexOf(node)]!;
    for (const [n, { sequence }] of batch.places.entries()) {
      own[sequence]!.k.push(values.get(node.k)![n]!);
      own[sequence]!.v.push(values.get(node.v)![n]!);
    }
    return values.get(node.q)!.map((q, n) => {
      const { sequence, position } = batch.places[n]!;
      return attended(q, own[sequence]!, position, node);
    });
  },
  swiglu: ({ gate, up }, { values }) => values.get(gate)!.map((row, n) => gated(row, values.get(up)![n]!)),
  add: ({ a, b }, { values }) => values.get(a)!.map((row, n) => added(row, values.get(b)![n]!)),
  ...forTraining(() => {
    throw new Error("there are no plans for training");
  }),
};
