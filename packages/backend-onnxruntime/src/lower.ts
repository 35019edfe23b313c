// Lowers a graph to an ONNX model that computes given values. Three things are decided here.
//
// What is computed for which rows. Most runs want logits of the last row alone, so every value that no attention depends
// on is computed only for the rows that the input `selection` lists: after the last attention a prompt of 512 rows
// continues as one. Attention and rotation need all rows; what follows them is selected from their result.
//
// What is fused. Residual addition with the normalization that follows; linears over the same input (their weights are
// already stacked, see pack/layout.ts); rotation into attention. A value that is asked for is never fused away, so a
// lowering belongs to a set of wanted values.
//
// What is left to the host. Embedding rows are looked up there and fed as activations, so the table is never in memory.

import {
  type AttentionNode,
  type Graph,
  type Node,
  operands,
  type RmsNormNode,
  type RopeNode,
  type ValueName,
} from "@polyllama/core";
import { emitAdd } from "./emit/add.ts";
import { attentionInputs, cacheNames, emitAttention, paddedHead, rotatesInAttention } from "./emit/attention.ts";
import type { Emission } from "./emit/emission.ts";
import { emitLinear, emitWeight } from "./emit/linear.ts";
import { modelWriter, type TensorName } from "./emit/onnx.ts";
import { emitAddRmsNorm, emitRmsNorm } from "./emit/rms-norm.ts";
import { emitRope, type RotationTables } from "./emit/rope.ts";
import { emitSwiglu } from "./emit/swiglu.ts";
import type { Layout, LinearGroup } from "./pack/layout.ts";

/** What the host binds to an input of the model. */
export type Binding =
  /** Rows of a graph input or of an embedding: f32 [1, rows, width]. */
  | { readonly kind: "activations"; readonly value: ValueName; readonly width: number }
  /** Rows, counted from 0, that selected values are computed for: i64 [selected]. */
  | { readonly kind: "selection" }
  /** Position of each row within the rotation tables: i64 [1, rows]. */
  | { readonly kind: "positions" }
  /** Length of the cache after the run, less 1: i32 [1]. */
  | { readonly kind: "lastPosition" }
  /** Length of the cache after the run: i32 [1]. */
  | { readonly kind: "totalLength" }
  /** f32 [positions, d / 2]. */
  | { readonly kind: "cos" | "sin"; readonly rotation: RopeNode }
  /** f32 [1, G, capacity, padded d]; the output of the same place is the same memory. */
  | { readonly kind: "keys" | "values"; readonly attention: number };

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

type Need = "all" | "selected";

export function lower(graph: Graph, layout: Layout, options: LoweringOptions): Lowering {
  const { wanted, fillsCaches } = options;
  const host = hostValues(graph);
  const needs = findNeeds(graph, host, wanted, fillsCaches);
  const consumers = new Map<ValueName, Node[]>();
  for (const node of graph.nodes) {
    if (!needs.has(node.output)) continue;
    for (const value of operands(node)) consumers.set(value, [...(consumers.get(value) ?? []), node]);
  }
  const fusedRopes = findFusedRopes(graph, needs, consumers, wanted);

  const model = modelWriter();
  const e: Emission = { model, accuracyLevel: options.accuracyLevel, blockSums: new Map() };
  const inputs: { name: TensorName; binding: Binding }[] = [];
  const declared = new Set<TensorName>();
  const input = (name: TensorName, binding: Binding, declare: () => void): TensorName => {
    if (!declared.has(name)) {
      declared.add(name);
      declare();
      inputs.push({ name, binding });
    }
    return name;
  };
  const selection = (): TensorName =>
    input("run selection", { kind: "selection" }, () => model.input("run selection", "i64", ["selected"]));
  const positions = (): TensorName =>
    input("run positions", { kind: "positions" }, () => model.input("run positions", "i64", [1, "rows"]));
  const tables = (rotation: RopeNode): RotationTables => {
    const { headDim, theta, scaling } = rotation;
    const key = JSON.stringify([headDim, theta, scaling]);
    const table = (kind: "cos" | "sin"): TensorName => {
      const name = `${kind} ${key}`;
      return input(name, { kind, rotation }, () => model.input(name, "f32", [`positions ${key}`, headDim / 2]));
    };
    return { cos: table("cos"), sin: table("sin") };
  };

  // Tensors of values: a function, as some are only emitted when somebody reads them.
  const whole = new Map<ValueName, () => TensorName>();
  const picked = new Map<ValueName, TensorName>();
  const tensor = (value: ValueName, need: Need): TensorName => {
    const all = whole.get(value);
    if (need === "all") {
      if (all !== undefined) return all();
      const width = graph.widths.get(value)!;
      const name = nameFor(value, "all");
      input(name, { kind: "activations", value, width }, () => model.input(name, "f32", [1, "rows", width]));
      whole.set(value, () => name);
      return name;
    }
    const known = picked.get(value);
    if (known !== undefined) return known;
    const name = nameFor(value, "selected");
    model.node("Gather", [tensor(value, "all"), selection()], [name], { axis: { int: 1 } });
    picked.set(value, name);
    return name;
  };
  const define = (value: ValueName, need: Need, name: TensorName): void => {
    if (need === "all") whole.set(value, () => name);
    else picked.set(value, name);
  };

  const emitGroup = (group: LinearGroup): void => {
    const used = group.outputs.filter(({ value }) => needs.has(value));
    const need: Need = used.some(({ value }) => needs.get(value) === "all") ? "all" : "selected";
    const x = tensor(group.x, need);
    const [only] = group.outputs;
    if (group.outputs.length === 1) {
      emitLinear(e, x, group.matrix, nameFor(only!.value, need));
      define(only!.value, need, nameFor(only!.value, need));
      return;
    }
    const stacked = stackedName(group, need);
    emitLinear(e, x, group.matrix, stacked);
    let split = false;
    const separate = (): void => {
      if (split) return;
      split = true;
      const names = group.outputs.map(({ value }) => nameFor(value, need));
      model.node("Split", [stacked, model.integers(group.outputs.map(({ width }) => width))], names, {
        axis: { int: -1 },
      });
    };
    for (const { value } of group.outputs) {
      if (need === "all") {
        whole.set(value, () => {
          separate();
          return nameFor(value, need);
        });
      } else {
        separate();
        picked.set(value, nameFor(value, need));
      }
    }
  };

  const emitted = new Set<ValueName>();
  const caches: { name: TensorName; binding: Binding }[] = [];
  const used: number[] = [];
  let attention = -1;
  for (const node of graph.nodes) {
    if (node.op === "attention") attention++;
    const need = needs.get(node.output);
    if (need === undefined || emitted.has(node.output) || host.has(node.output)) continue;
    const { output } = node;
    const name = nameFor(output, need);
    switch (node.op) {
      case "embedding":
        break;
      case "linear": {
        const group = layout.groups.get(output)!;
        emitGroup(group);
        for (const { value } of group.outputs) emitted.add(value);
        break;
      }
      case "rmsNorm":
        emitRmsNorm(e, node, tensor(node.x, need), emitWeight(e, layout.norms.get(node.weight)!), name);
        define(output, need, name);
        break;
      case "swiglu":
        emitSwiglu(e, tensor(node.gate, need), tensor(node.up, need), name);
        define(output, need, name);
        break;
      case "add": {
        const a = tensor(node.a, need);
        const b = tensor(node.b, need);
        const norm = consumers
          .get(output)
          ?.find((next): next is RmsNormNode => next.op === "rmsNorm" && needs.get(next.output) === need);
        if (norm === undefined) emitAdd(e, a, b, name);
        else {
          const normed = nameFor(norm.output, need);
          emitAddRmsNorm(e, norm, [a, b], emitWeight(e, layout.norms.get(norm.weight)!), name, normed);
          define(norm.output, need, normed);
          emitted.add(norm.output);
        }
        define(output, need, name);
        break;
      }
      case "rope":
        if (fusedRopes.has(output)) break;
        emitRope(e, tensor(node.x, "all"), positions(), tables(node), name);
        define(output, "all", name);
        break;
      case "attention": {
        const rotation = fusedRopes.get(node.q);
        const source = (value: ValueName): ValueName => fusedRopes.get(value)?.x ?? value;
        const [q, k, v] = [source(node.q), source(node.k), node.v];
        const group = layout.groups.get(q);
        const stacked =
          group !== undefined &&
          String(group.outputs.map(({ value }) => value)) === String([q, k, v]) &&
          paddedHead(node.headDim) === node.headDim;
        for (const kind of ["lastPosition", "totalLength"] as const) {
          const shared = attentionInputs[kind];
          input(shared, { kind }, () => model.input(shared, "i32", [1]));
        }
        const { past, present } = cacheNames(attention);
        const shape = [1, node.kvHeads, "capacity", paddedHead(node.headDim)];
        for (const [part, kind] of (["keys", "values"] as const).entries()) {
          const binding: Binding = { kind, attention };
          input(past[part]!, binding, () => model.input(past[part]!, "f32", shape));
          model.output(present[part]!, "f32", shape);
          caches.push({ name: present[part]!, binding });
        }
        const ropes = rotation === undefined ? {} : { rotation: tables(rotation) };
        const sources = stacked
          ? { q: stackedName(group, "all") }
          : { q: tensor(q, "all"), k: tensor(k, "all"), v: tensor(v, "all") };
        emitAttention(e, node, attention, { ...sources, ...ropes }, name);
        define(output, "all", name);
        used.push(attention);
        break;
      }
    }
  }

  const outputs = new Map<ValueName, { name: TensorName; selected: boolean }>();
  for (const value of wanted) {
    if (host.has(value)) continue;
    const need = needs.get(value)!;
    const name = tensor(value, need);
    model.output(name, "f32", [1, need === "all" ? "rows" : "selected", graph.widths.get(value)!]);
    outputs.set(value, { name, selected: need === "selected" });
  }
  const empty = outputs.size === 0 && caches.length === 0;
  return { empty, model: model.finish(), inputs, caches, outputs, attentions: used };
}

function nameFor(value: ValueName, need: Need): TensorName {
  return `${need} ${value}`;
}

function stackedName(group: LinearGroup, need: Need): TensorName {
  return `stacked ${need} ${group.outputs.map(({ value }) => value).join("+")}`;
}

/** Which values are needed, for all rows or for the selected ones alone: consumers first, so in reverse. */
function findNeeds(
  graph: Graph,
  host: ReadonlySet<ValueName>,
  wanted: ReadonlySet<ValueName>,
  fillsCaches: boolean,
): ReadonlyMap<ValueName, Need> {
  const needs = new Map<ValueName, Need>();
  const demand = (value: ValueName, need: Need): void => {
    if (needs.get(value) !== "all") needs.set(value, need);
  };
  for (const value of wanted) if (!host.has(value)) demand(value, "selected");
  for (const node of [...graph.nodes].reverse()) {
    const rowWise = node.op !== "attention" && node.op !== "rope";
    if (node.op === "attention" && fillsCaches) demand(node.output, "all");
    let need = needs.get(node.output);
    if (need === undefined || host.has(node.output)) continue;
    if (!rowWise) {
      demand(node.output, "all");
      need = "all";
    }
    for (const value of operands(node)) demand(value, need);
  }
  return needs;
}

/** Rotations that attention takes over: those of its q and k, alike, read by it alone and not asked for. */
function findFusedRopes(
  graph: Graph,
  needs: ReadonlyMap<ValueName, Need>,
  consumers: ReadonlyMap<ValueName, readonly Node[]>,
  wanted: ReadonlySet<ValueName>,
): ReadonlyMap<ValueName, RopeNode> {
  const ropes = new Map<ValueName, RopeNode>();
  for (const node of graph.nodes) if (node.op === "rope") ropes.set(node.output, node);
  const fused = new Map<ValueName, RopeNode>();
  for (const node of attentions(graph)) {
    const [q, k] = [ropes.get(node.q), ropes.get(node.k)];
    if (!needs.has(node.output) || q === undefined || k === undefined || !rotatesInAttention(node.headDim)) continue;
    const alike =
      q.headDim === node.headDim &&
      k.headDim === node.headDim &&
      q.theta === k.theta &&
      JSON.stringify(q.scaling) === JSON.stringify(k.scaling);
    const free = [q, k].every(
      ({ output }) => !wanted.has(output) && consumers.get(output)?.every((next) => next === node) && node.v !== output,
    );
    if (alike && free) for (const rope of [q, k]) fused.set(rope.output, rope);
  }
  return fused;
}
