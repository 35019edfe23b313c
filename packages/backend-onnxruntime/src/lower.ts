// Lowers a graph to an ONNX model that computes given values. Rows are cut down as needs.ts says. Fused are residual addition with the
// normalization that follows; linears over the same input (their weights are already stacked, see pack/layout.ts); rotation into
// attention. A value that is asked for is never fused away, so a lowering belongs to a set of wanted values. Embedding rows are looked up
// by the host and fed as activations, so the table is never in memory.

import { byOp, type Graph, type ValueName } from "@polyllama/core";
import type { Binding } from "./binding.ts";
import type { Emission } from "./emit/emission.ts";
import { emitters } from "./emit/index.ts";
import { modelWriter, type TensorName } from "./emit/onnx.ts";
import { findFusedRopes } from "./emit/rope.ts";
import { valuesOf } from "./emit/values.ts";
import { attentions, findConsumers, findNeeds, hostValues } from "./needs.ts";
import type { GraphLayout } from "./pack/layout.ts";

export interface Lowering {
  /** Nothing to compute: all wanted values are the host's. */
  readonly empty: boolean;
  readonly model: Uint8Array;
  readonly inputs: readonly { readonly name: TensorName; readonly binding: Binding }[];
  /** Present keys and values, in the order of the inputs that they share memory with. */
  readonly caches: readonly { readonly name: TensorName; readonly binding: Binding }[];
  /** Wanted values of the model, in no particular order. `selected`: only the rows of `selection`. */
  readonly outputs: ReadonlyMap<ValueName, { readonly name: TensorName; readonly selected: boolean }>;
  /** Attentions that are computed, as indices into `attentions(graph)`. */
  readonly attentions: readonly number[];
}

export interface LoweringOptions {
  readonly wanted: ReadonlySet<ValueName>;
  /** Whether every attention is computed, for its cache's sake. */
  readonly fillsCaches: boolean;
  readonly accuracyLevel: 1 | 4;
}

export function lower(graph: Graph, layout: GraphLayout, options: LoweringOptions): Lowering {
  const { wanted, fillsCaches, accuracyLevel } = options;
  const needs = findNeeds(graph, wanted, fillsCaches);
  const consumers = findConsumers(graph, needs);
  const fusedRopes = findFusedRopes(graph, needs, consumers, wanted);
  const model = modelWriter();
  const values = valuesOf(graph, model);
  const places = new Map(attentions(graph).map((node, i) => [node.output, i]));
  const e: Emission = {
    ...{ model, accuracyLevel, layout, needs, consumers, fusedRopes, values },
    blockSums: new Map(),
    caches: [],
    attentionIndex: ({ output }) => places.get(output)!,
  };
  for (const node of graph.nodes) if (needs.has(node.output)) byOp(emitters, node, e);

  const host = hostValues(graph);
  const outputs = new Map<ValueName, { name: TensorName; selected: boolean }>();
  for (const value of wanted) {
    if (host.has(value)) continue;
    const need = needs.get(value)!;
    const name = values.tensor(value, need);
    model.output(name, "f32", [1, need === "all" ? "rows" : "selected", graph.widths.get(value)!]);
    outputs.set(value, { name, selected: need === "selected" });
  }
  const empty = outputs.size === 0 && e.caches.length === 0;
  const used = attentions(graph).flatMap(({ output }, i) => (needs.has(output) ? [i] : []));
  return { empty, model: model.finish(), inputs: values.inputs, caches: e.caches, outputs, attentions: used };
}
