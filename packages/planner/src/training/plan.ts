// What steps of training compute: ops as they are, over all rows of a step at once, as gradients of weights are sums over
// them. What is fused is the sum behind an op: where gradients meet, the op that computes the last one adds the others.
// A plan is data that several backends emit kernels for.

import {
  type Graph,
  isFixed,
  type Node,
  type OpName,
  operands,
  ops,
  resultName,
  resultRoles,
  results,
  type TensorType,
  type ValueName,
} from "@polyllama/core";
import type { Lifetime } from "../plan/plan.ts";

/** Where a value of a training plan is while its step runs. */
export interface TrainingBuffer {
  /** Its place in `TrainingPlan.buffers`. */
  readonly id: number;
  readonly value: ValueName;
  readonly type: TensorType;
  /** Elements in a row; tokens have 1. */
  readonly width: number;
  /** Given with the step, computed for whoever asked, or of use within the step alone. */
  readonly kind: "input" | "output" | "inner";
}

/** An op over all rows. */
export interface TrainingStep {
  readonly node: Node;
  /** By the op's input roles. */
  readonly operands: Readonly<Record<string, TrainingBuffer>>;
  /** By role: results that somebody reads. */
  readonly results: Readonly<Record<string, TrainingBuffer>>;
  /** By role: what is added to a result. */
  readonly residuals: Readonly<Record<string, TrainingBuffer>>;
}

/** What computes some values of a graph. */
export interface TrainingPlan {
  readonly steps: readonly TrainingStep[];
  readonly buffers: readonly TrainingBuffer[];
  /** By buffer: first and last step that uses it. */
  readonly lifetimes: readonly Lifetime[];
  readonly inputs: ReadonlyMap<ValueName, TrainingBuffer>;
  readonly outputs: ReadonlyMap<ValueName, TrainingBuffer>;
}

/** Whether a backend adds to a result of an op while it computes it. */
export type AddsTo = (op: OpName, role: string) => boolean;

/** Plans the computation of the asked values, none of which is an input. */
export function planTraining(graph: Graph, asked: ReadonlySet<ValueName>, addsTo: AddsTo): TrainingPlan {
  const nodes = neededNodes(graph, asked);
  const sums = fusedSums(nodes, asked, addsTo);
  const buffers: TrainingBuffer[] = [];
  const byValue = new Map<ValueName, TrainingBuffer>();
  const define = (value: ValueName, kind: TrainingBuffer["kind"]): TrainingBuffer => {
    // Values of a graph have types and widths.
    const [type, width] = [graph.types.get(value)!, graph.widths.get(value)!];
    const buffer = { id: buffers.length, value, type, width, kind };
    buffers.push(buffer);
    byValue.set(value, buffer);
    return buffer;
  };
  const read = new Set(nodes.flatMap(operands));
  const inputs = new Map<ValueName, TrainingBuffer>();
  for (const { name } of graph.inputs) if (read.has(name)) inputs.set(name, define(name, "input"));
  const steps: TrainingStep[] = [];
  for (const node of nodes) {
    if (sums.absorbed.has(node.output)) continue;
    const { inputs: roles } = ops[node.op];
    const read = operands(node).map((name, i) => [roles[i]!, byValue.get(name)!] as const); // after what it reads
    const [made, added]: Record<string, TrainingBuffer>[] = [{}, {}];
    for (const role of resultRoles(node.op, node)) {
      const own = resultName(node.output, role);
      const { value, residuals } = sums.of.get(own) ?? { value: own, residuals: [] };
      if (!(sums.read.has(value) || asked.has(value))) continue;
      made![role] = define(value, asked.has(value) ? "output" : "inner");
      for (const residual of residuals) added![role] = byValue.get(residual)!; // computed before, as fusedSums saw
    }
    steps.push({ node, operands: Object.fromEntries(read), results: made!, residuals: added! });
  }
  const outputs = new Map([...asked].map((value) => [value, byValue.get(value)!])); // each was computed
  return { steps, buffers, lifetimes: lifetimesOf(steps, buffers), inputs, outputs };
}

/** Whether a value has a row for each row of a step. */
export function isPerRow({ type }: Pick<TrainingBuffer, "type">): boolean {
  return !isFixed(type);
}

function neededNodes(graph: Graph, asked: ReadonlySet<ValueName>): readonly Node[] {
  const needed = new Set(asked);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!results(node).some((name) => needed.has(name))) continue;
    nodes.unshift(node);
    for (const name of operands(node)) needed.add(name);
  }
  return nodes;
}

interface FusedSums {
  /** Outputs of the sums that are computed with an op before them. */
  readonly absorbed: ReadonlySet<ValueName>;
  /** By result of an op: the value that it becomes, and what is added to it, at most one. */
  readonly of: ReadonlyMap<ValueName, { readonly value: ValueName; readonly residuals: readonly ValueName[] }>;
  /** Values that are read, sums that are absorbed left out. */
  readonly read: ReadonlySet<ValueName>;
}

/** Sums of two values, the later one of which is read by nothing else and by an op that can add the earlier one. */
function fusedSums(nodes: readonly Node[], asked: ReadonlySet<ValueName>, addsTo: AddsTo): FusedSums {
  const place = new Map<ValueName, number>();
  const adds = new Map<ValueName, boolean>();
  const readers = new Map<ValueName, number>();
  for (const [at, node] of nodes.entries()) {
    for (const role of resultRoles(node.op, node)) {
      const name = resultName(node.output, role);
      place.set(name, at);
      adds.set(name, addsTo(node.op, role));
    }
    for (const name of operands(node)) readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  const [absorbed, of] = [new Set<ValueName>(), new Map<ValueName, { value: ValueName; residuals: ValueName[] }>()];
  for (const node of nodes) {
    if (node.op !== "add" || node.a === node.b) continue;
    const at = (name: ValueName): number => place.get(name) ?? -1; // inputs are there before all
    const [early, late] = at(node.a) < at(node.b) ? [node.a, node.b] : [node.b, node.a];
    const fuses =
      at(early) < at(late) && adds.get(late) === true && readers.get(late) === 1 && !asked.has(late) && !of.has(late);
    if (!fuses) continue;
    absorbed.add(node.output);
    of.set(late, { value: node.output, residuals: [early] });
    place.set(node.output, at(late)); // it is there as soon as that
  }
  const kept = nodes.filter(({ output }) => !absorbed.has(output));
  return {
    absorbed,
    of,
    read: new Set([...kept.flatMap(operands), ...[...of.values()].flatMap((sum) => sum.residuals)]),
  };
}

function lifetimesOf(steps: readonly TrainingStep[], buffers: readonly TrainingBuffer[]): readonly Lifetime[] {
  const lifetimes = buffers.map(() => ({ first: Number.POSITIVE_INFINITY, last: -1 }));
  for (const [at, { operands: read, results: made, residuals }] of steps.entries()) {
    for (const { id } of [...Object.values(read), ...Object.values(made), ...Object.values(residuals)]) {
      const lifetime = lifetimes[id]!; // one for each
      lifetime.first = Math.min(lifetime.first, at);
      lifetime.last = Math.max(lifetime.last, at);
    }
  }
  return lifetimes;
}
