// From a graph to a plan, for one set of values: what is needed, what of it is computed together, where everything is,
// and how long. Backends say as data what they have kernels for; the plan that comes out is data, too.

import { type AttentionNode, type Graph, PolyllamaError, type ValueName } from "@polyllama/core";
import { type FusionPreferences, fuse } from "./fusion.ts";
import { findLifetimes } from "./lifetimes.ts";
import { lower, type Planning } from "./lower.ts";
import { findNeeds, type NeedPreferences, type Needs, type PlanRequest } from "./needs.ts";
import { define, operand } from "./places.ts";
import type { Place, Plan, PlanAttention } from "./plan.ts";
import { rotationStride } from "./rotations.ts";
import type { StoredWeights } from "./weight-groups.ts";

/** What a backend has kernels for, in one of the modes that it computes in. */
export interface PlanPreferences extends NeedPreferences, FusionPreferences {
  /** Rows of activations are multiples of so many words. */
  readonly padding: number;
}

/**
 * Plans the computation of the requested values.
 *
 * @param weights As {@link groupWeights} stored them, for this graph among others.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED` for graphs with several inputs of tokens.
 */
export function makePlan(
  graph: Graph,
  weights: Pick<StoredWeights, "places">,
  request: PlanRequest,
  preferences: PlanPreferences,
): Plan {
  const needs = findNeeds(graph, request, weights, preferences);
  const attentions = graph.nodes
    .filter((node) => node.op === "attention")
    .map((node, index) => [node, attentionOf(node, index)] as const);
  const p: Planning = {
    graph,
    needs,
    weights,
    padding: preferences.padding,
    conversion: preferences.conversion,
    steps: [],
    buffers: [],
    places: new Map(),
    gathered: new Map(),
    converted: new Map(),
    rotations: [],
    attentions: new Map(attentions),
  };
  const tokens = tokensOf(graph, needs);
  const inputs = new Map<ValueName, Place>();
  const own = new Set(needs.nodes.map(({ output }) => output));
  for (const [value] of graph.widths) {
    if (needs.readers.has(value) && !own.has(value) && value !== tokens) inputs.set(value, define(p, value, "all"));
  }
  for (const node of fuse(graph, needs, weights, preferences)) lower(node, p);
  const outputs = new Map<ValueName, Place>();
  for (const value of [...request.all, ...request.selected]) {
    if (!own.has(value) || outputs.has(value)) continue;
    const rows = request.all.has(value) || !preferences.selectsRows ? "all" : "selected";
    outputs.set(value, operand(p, value, rows));
  }
  const { steps, buffers, rotations } = p;
  return {
    steps,
    buffers,
    lifetimes: findLifetimes(steps, buffers, inputs.values(), outputs.values()),
    inputs,
    tokens,
    outputs,
    rotations,
    rotationStride: rotationStride(rotations),
    attentions: attentions.map(([, attention]) => attention),
  };
}

function attentionOf({ heads, kvHeads, headDim }: AttentionNode, index: number): PlanAttention {
  return { index, heads, kvHeads, headDim };
}

function tokensOf({ nodes }: Graph, needs: Needs): ValueName | undefined {
  const looked = new Set(nodes.flatMap((node) => (node.op === "embedding" ? [node.tokens] : [])));
  const [tokens, other] = [...looked].filter((value) => needs.readers.has(value));
  if (other === undefined) return tokens;
  const several = `"${tokens}" and "${other}"`;
  throw new PolyllamaError("ERR_UNSUPPORTED", `${several} are both inputs of tokens; use a graph with one.`);
}
