// Lowers a graph to an ONNX model that computes given values: the planner says in which steps, and each step becomes
// operators. What is asked for is computed for the rows that the input `selection` lists; a value that is needed in all
// rows is given in all of them. Embedding rows are looked up by the host and fed as activations, so the table is never
// in memory.

import type { Graph, ValueName } from "@polyllama/core";
import { findNeeds, forStep, makePlan, type PlanPreferences } from "@polyllama/planner";
import type { Binding } from "./binding.ts";
import type { Emission } from "./emit/emission.ts";
import { emitters } from "./emit/index.ts";
import { modelWriter, type TensorName } from "./emit/onnx.ts";
import { tensorsOf } from "./emit/tensors.ts";
import type { Layout } from "./pack/layout.ts";

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

/**
 * What ONNX Runtime has operators for. Those of a group multiply the whole of it, and attention appends to the cache
 * itself.
 */
export const preferences: PlanPreferences = {
  padding: 1,
  selectsRows: true,
  cachesAlone: false,
  hostEmbeddings: true,
  partialGroups: false,
  fusions: { all: new Set(["addNorm", "ropeAttention"]), selected: new Set(["addNorm"]) },
  ropeAttentionMultiple: 16,
};

export function lower(graph: Graph, layout: Layout, options: LoweringOptions): Lowering {
  const { wanted, fillsCaches, accuracyLevel } = options;
  const asked = { all: new Set<ValueName>(), selected: wanted, fillsCaches };
  const { rows } = findNeeds(graph, asked, layout, preferences);
  const isWhole = (value: ValueName): boolean => rows.get(value) === "all";
  const plan = makePlan(
    graph,
    layout,
    {
      all: new Set([...wanted].filter(isWhole)),
      selected: new Set([...wanted].filter((value) => !isWhole(value))),
      fillsCaches,
    },
    preferences,
  );
  const model = modelWriter();
  const tensors = tensorsOf(model);
  for (const [value, { buffer, width }] of plan.inputs) {
    const name = `all ${value}`;
    const binding = { kind: "activations", value, width } as const;
    tensors.define(buffer, () => tensors.input(name, binding, () => model.input(name, "f32", [1, "rows", width])));
  }
  const e: Emission = { model, tensors, accuracyLevel, layout, blockSums: new Map(), appending: new Map(), caches: [] };
  for (const step of plan.steps) forStep(emitters, step, e);

  const outputs = new Map<ValueName, { name: TensorName; selected: boolean }>();
  for (const [value, place] of plan.outputs) {
    const name = tensors.at(place);
    const selected = place.buffer.rows === "selected";
    model.output(name, "f32", [1, selected ? "selected" : "rows", place.width]);
    outputs.set(value, { name, selected });
  }
  const attentions = [...e.appending.keys()];
  return {
    empty: plan.steps.length === 0,
    model: model.finish(),
    inputs: tensors.inputs,
    caches: e.caches,
    outputs,
    attentions,
  };
}
