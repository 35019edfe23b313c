// Reverse-mode differentiation as a graph pass: the gradient of a graph is two more graphs, which no backend knows to be
// a gradient. Between them stands the host, which makes cotangents of what the forward graph gives: a loss is a function
// of a few numbers and need not be part of a graph. What the backward graph reads of the forward one is kept on the
// device in between.

import { PolyllamaError } from "../errors.ts";
import { buildGraph, type Graph, type GraphBuilder } from "../graph.ts";
import type { AnyOp, Value, ValueName, WeightName, WeightSpec } from "../op.ts";
import { resultName } from "../op.ts";
import { type Node, operands, ops, parameters, resultRoles, results } from "../ops/index.ts";
import { isFixed } from "../type.ts";
import { copyGraph, copyInput, pruned, weightsOf } from "./copy-graph.ts";

/** What to differentiate, and by what. */
export interface GradientOptions {
  /** Values of the graph whose cotangents will be given; default: its outputs. */
  readonly of?: readonly ValueName[];
  /** Weights whose gradients are wanted; default: all. */
  readonly weights?: readonly WeightName[];
  /** Inputs of reals whose gradients are wanted; default: none. */
  readonly inputs?: readonly ValueName[];
  /**
   * Values that the backward graph computes again, right before it needs them, instead of having them kept: memory for
   * work. Default: none. All of a layer but its input, say.
   */
  readonly recompute?: readonly ValueName[];
  /** Whether gradients of weights are added to given ones, those of micro-batches before; default false. */
  readonly accumulate?: boolean;
}

/** A graph and its gradient. */
export interface GradientGraphs {
  /** Computes the values to differentiate, and those to keep. Its sequences have no caches. */
  readonly forward: Graph;
  /**
   * Takes the kept values, what it reads of the graph's own inputs, and cotangents; gives the gradients. Its sequences
   * are those of the forward step.
   */
  readonly backward: Graph;
  /** Values of the forward graph that are inputs of the backward graph, by the same names. */
  readonly kept: readonly ValueName[];
  /** Inputs of the backward graph for the cotangents of the differentiated values, by these. */
  readonly cotangents: ReadonlyMap<ValueName, ValueName>;
  /** Inputs of the backward graph for gradients to add to, by weight; empty where it does not accumulate. */
  readonly before: ReadonlyMap<WeightName, ValueName>;
  /** Outputs of the backward graph by weight, each in the shape of its weight; a weight that nothing reads has none. */
  readonly weights: ReadonlyMap<WeightName, ValueName>;
  /** Outputs of the backward graph by input; an input that nothing depends on has none. */
  readonly inputs: ReadonlyMap<ValueName, ValueName>;
}

/**
 * Differentiates a graph: if L depends on its values `of`, with the cotangents dL / d value, the backward graph gives
 * dL / d weight and dL / d input. A weight that is used several times, as a tied table is, has one gradient, their sum.
 *
 * @throws {PolyllamaError} `ERR_GRAPH` for values that the graph does not have, and ops that have no gradient.
 */
export function gradient(graph: Graph, options: GradientOptions = {}): GradientGraphs {
  const { of = graph.outputs, weights = graph.weights.map(({ name }) => name), inputs = [] } = options;
  const { recompute = [], accumulate = false } = options;
  for (const name of [...of, ...inputs, ...recompute]) if (!graph.types.has(name)) throw unknown("value", name);
  for (const name of weights) if (!graph.weights.some((weight) => weight.name === name)) throw unknown("weight", name);
  const dependent = findDependent(graph, new Set(weights), new Set(inputs));
  const whole = withExtras(graph, of, (node) => results(node).some((name) => dependent.has(name))); // all of them
  const reverse = reversed(whole, { of, dependent, recompute: new Set(recompute), accumulate });
  const found = <Name extends string>(names: readonly Name[], sums: ReadonlyMap<Name, Value>) =>
    new Map(names.flatMap((name) => (sums.has(name) ? [[name, sums.get(name)!.name] as const] : [])));
  const gradients = { weights: found(weights, reverse.weights), inputs: found(inputs, reverse.values) };
  const backward = pruned(reverse.graph, [...gradients.weights.values(), ...gradients.inputs.values()]);
  const own = new Set(whole.nodes.flatMap(results));
  const kept = backward.inputs.map(({ name }) => name).filter((name) => own.has(name));
  const outputs = [...new Set([...of, ...kept])];
  const wanted = new Set(kept);
  const forward = withExtras(graph, outputs, (_, extra) => wanted.has(extra));
  const cotangents = new Map(of.map((name) => [name, cotangentOf(name)]));
  const summed = accumulate ? [...gradients.weights.keys()] : [];
  const before = new Map(summed.map((name) => [name, beforeOf(name)]));
  return { forward, backward, kept, cotangents, before, ...gradients };
}

function unknown(what: string, name: string): PolyllamaError {
  return new PolyllamaError("ERR_GRAPH", `The graph has no ${what} "${name}".`);
}

function cotangentOf(name: ValueName): ValueName {
  return `${name}.cotangent`;
}

function beforeOf(weight: WeightName): ValueName {
  return `${weight}.gradient.before`;
}

/** Values that depend on the given weights and inputs. */
function findDependent(
  graph: Graph,
  weights: ReadonlySet<WeightName>,
  inputs: ReadonlySet<ValueName>,
): ReadonlySet<ValueName> {
  const dependent = new Set(inputs);
  for (const node of graph.nodes) {
    const depends =
      parameters(node).some((name) => weights.has(name)) || operands(node).some((name) => dependent.has(name));
    if (depends) for (const name of results(node)) dependent.add(name);
  }
  return dependent;
}

/** The part of a graph that gives these outputs, with those extra results of its nodes that are wanted. */
function withExtras(
  graph: Graph,
  outputs: readonly ValueName[],
  isWanted: (node: Node, extra: ValueName) => boolean,
): Graph {
  const full = buildGraph((g) => {
    const weight = weightsOf(g, graph);
    for (const { name } of graph.weights) weight(name); // in their order
    copyGraph(g, graph, (node, value) => {
      const { extras = [] }: AnyOp = ops[node.op];
      const more = extras.filter((role) => isWanted(node, resultName(node.output, role)));
      return g.copy({ ...node, ...Object.fromEntries(more.map((role) => [role, true])) }, value, weight);
    });
    return [];
  });
  return pruned(full, outputs);
}

/** What a backward graph is made for. */
interface ReverseOptions {
  readonly of: readonly ValueName[];
  readonly dependent: ReadonlySet<ValueName>;
  readonly recompute: ReadonlySet<ValueName>;
  readonly accumulate: boolean;
}

/** Cotangents while they are being collected. */
interface Reverse {
  /** Its inputs are all values of the graph, and the cotangents of what is differentiated. */
  readonly graph: Graph;
  readonly values: ReadonlyMap<ValueName, Value>;
  readonly weights: ReadonlyMap<WeightName, Value>;
}

/** From the last node to the first, each op's gradient; what has several uses has the sum of their cotangents. */
function reversed(graph: Graph, { of, dependent, recompute, accumulate }: ReverseOptions): Reverse {
  const [sums, weightSums] = [new Map<ValueName, Value>(), new Map<WeightName, Value>()];
  const whole = buildGraph((g) => {
    const weight = weightsOf(g, graph);
    const value = readValues(g, graph, weight, recompute);
    for (const name of of) addTo(g, sums, name, declare(g, graph, name, cotangentOf(name)));
    for (const node of [...graph.nodes].reverse()) {
      if (!results(node).some((name) => dependent.has(name))) continue;
      const roles = resultRoles(node.op, node);
      const byRole = roles.map((role) => [role, resultName(node.output, role)] as const);
      const cotangents = byRole.flatMap(([role, name]) => (sums.has(name) ? [[role, sums.get(name)!] as const] : []));
      if (cotangents.length === 0) continue;
      const record: AnyOp = ops[node.op];
      if (record.vjp === undefined) {
        throw new PolyllamaError("ERR_GRAPH", `"${node.output}": the op ${node.op} has no gradient.`);
      }
      const read = operands(node).map((name, i) => [record.inputs[i]!, value(name)] as const);
      const used = parameters(node).map((name, i) => [record.parameters[i]!, weight(name)] as const);
      const applied = {
        ...node,
        ...Object.fromEntries([...read, ...used]),
        results: Object.fromEntries(byRole.map(([role, name]) => [role, value(name)])),
      };
      const made = record.vjp(g, applied, Object.fromEntries(cotangents));
      for (const [role, { name }] of read) {
        if (made[role] !== undefined && dependent.has(name)) addTo(g, sums, name, made[role]);
      }
      for (const [role, { name }] of used) if (made[role] !== undefined) addTo(g, weightSums, name, made[role]);
    }
    for (const { name, shape } of accumulate ? graph.weights : []) {
      if (weightSums.has(name)) addTo(g, weightSums, name, g.fixed(beforeOf(name), shape));
    }
    return [];
  });
  return { graph: whole, values: sums, weights: weightSums };
}

/** The values of the forward graph: inputs of this one, but for those that are computed again when they are first read. */
function readValues(
  g: GraphBuilder,
  graph: Graph,
  weight: (name: WeightName) => WeightSpec,
  recompute: ReadonlySet<ValueName>,
): (name: ValueName) => Value {
  const values = new Map(graph.inputs.map((input) => [input.name, copyInput(g, input)]));
  const producers = new Map<ValueName, Node>();
  for (const node of graph.nodes) {
    const again = recompute.has(node.output);
    for (const name of results(node)) {
      if (again) producers.set(name, node);
      else values.set(name, declare(g, graph, name, name));
    }
  }
  const value = (name: ValueName): Value => {
    const producer = producers.get(name);
    if (!values.has(name) && producer !== undefined) {
      for (const made of g.copy(producer, value, weight)) values.set(made.name, made);
    }
    return values.get(name)!; // every value is one or the other
  };
  return value;
}

/** An input of the type of a value of another graph. */
function declare(g: GraphBuilder, graph: Graph, value: ValueName, name: ValueName): Value {
  const type = graph.types.get(value)!; // of this graph
  if (!isFixed(type)) return g.activations(name, graph.widths.get(value)!); // likewise
  return g.fixed(name, type.shape.map(Number)); // which all its dimensions are
}

/** Adds a cotangent to those that came before. */
function addTo(g: GraphBuilder, sums: Map<string, Value>, name: string, cotangent: Value): void {
  const before = sums.get(name);
  if (before === undefined) sums.set(name, cotangent);
  else sums.set(name, g.add(sumName(before.name, name), before, cotangent));
}

/** Names of sums count the addends beyond the first two. */
function sumName(before: ValueName, name: string): ValueName {
  const first = `${name}.gradient.sum`;
  if (!before.startsWith(first)) return first;
  return `${first}.${Number(before.slice(first.length + 1) || 1) + 1}`;
}
