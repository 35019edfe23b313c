// Computes a step node by node, in the graph's order: a backend whose values are on the host gives a function of a
// node, and this does the rest. Only what somebody wants is computed, and what fills caches; what nobody reads any more
// is let go.

import {
  type AttentionNode,
  appended,
  type Graph,
  type Node,
  operands,
  type RealArray,
  results,
  rowsIn,
  type ValueName,
} from "@polyllama/core";
import { cacheSpec, type SequencePlace } from "@polyllama/core/device";
import type { AcceptedStep } from "../frame/program-frame.ts";
import { HostBlocks, type KeysAndValues } from "./blocks.ts";
import type { Arrays, HostRows } from "./rows.ts";
import { inputArrays } from "./tensors.ts";

/** What a node is computed from, weights excepted. */
export interface HostOperands<Reals extends RealArray> {
  /** [N, width] */
  value(name: ValueName): HostRows<Reals>;
  /** [N] */
  tokens(name: ValueName): Int32Array;
  /** Elements in a row of a value. */
  width(name: ValueName): number;
  /** Position of each row. */
  readonly positions: readonly number[];
  /** Which rows belong together. */
  readonly sequences: readonly SequencePlace[];
  /** Appends the node's rows of k and v to the caches, and gives what the rows of each sequence attend to. */
  append(node: AttentionNode): readonly Attended<Reals>[];
}

/** A sequence's rows in a step, and the keys and values up to and including them. */
export interface Attended<Reals extends RealArray> {
  readonly first: number;
  readonly rows: number;
  /** Place of the first row among the keys. */
  readonly start: number;
  /** [start + rows, G d] each */
  readonly past: KeysAndValues<Reals>;
}

/** How a backend computes. */
export interface HostComputation<Reals extends RealArray> {
  readonly arrays: Arrays<Reals>;
  /** A node's results, in their order: [N, width] each, or in a shape of their own. */
  compute(node: Node, operands: HostOperands<Reals>): readonly Reals[];
  /** Values to compute beside those of outputs. */
  readonly wanted?: Iterable<ValueName>;
}

/** A step that was computed. */
export interface ComputedStep<Reals extends RealArray> {
  /** Of those that were wanted. */
  value(name: ValueName): HostRows<Reals>;
  /** Tokens of a sequence of the step, at positions before `end`; without a cache from the step's own first one on. */
  history(sequence: number, end: number): readonly number[];
}

/** Where a sequence's keys and values are. */
interface Memory<Reals extends RealArray> {
  readonly blocks: HostBlocks<Reals>;
  readonly table: Uint32Array;
  /** Positions that it holds before the step. */
  readonly length: number;
}

type Accepted<Reals extends RealArray> = AcceptedStep<HostBlocks<Reals>>;
type Inputs = ReturnType<typeof inputArrays>;
type Values<Reals extends RealArray> = Map<ValueName, HostRows<Reals> | Int32Array>;

/** @throws the signal's reason; what a node's computation throws. */
export async function computeStep<Reals extends RealArray>(
  graph: Graph,
  accepted: Accepted<Reals>,
  computation: HostComputation<Reals>,
  signal: AbortSignal,
): Promise<ComputedStep<Reals>> {
  const { step, places, caches } = accepted;
  const { arrays, compute } = computation;
  for (const cache of caches) {
    for (const copy of cache?.copies ?? []) cache!.pool.storage.copy(copy); // the copies are the cache's
  }
  const inputs = inputArrays(step);
  const memories = placeMemories(graph, accepted, arrays, inputs);
  const values = inputValues(graph, inputs, arrays);
  const from = operandsOf(graph, accepted, values, memories, arrays);
  const wanted = new Set([...step.outputs.map(({ value }) => value), ...(computation.wanted ?? [])]);
  const needed = neededValues(graph, wanted);
  const lastUse = new Map<ValueName, ValueName>();
  for (const node of graph.nodes) for (const name of operands(node)) lastUse.set(name, node.output);

  for (const node of graph.nodes) {
    const made = results(node);
    const isNeeded = made.some((name) => needed.has(name));
    if (!isNeeded && appended(node).length === 0) continue;
    await macrotask(); // so that timers run and an abort is heard
    signal.throwIfAborted();
    if (isNeeded) {
      for (const [i, data] of compute(node, from).entries()) {
        const name = made[i]!; // one for each
        const rows = rowsIn(graph.types.get(name)!, places.rows); // a value of this graph
        if (needed.has(name)) values.set(name, { rows, width: from.width(name), data });
      }
    } else if (node.op === "attention") from.append(node); // which is all that anybody wants of it
    for (const name of operands(node)) if (lastUse.get(name) === node.output && !wanted.has(name)) values.delete(name);
  }
  return {
    value: from.value,
    history(sequence, end) {
      const { blocks, table } = memories[sequence]!; // of the step
      const { start, cache } = places.sequences[sequence]!;
      return [...blocks.tokens(table, cache === undefined ? end - start : end)];
    },
  };
}

/** Where each sequence's keys and values are; rows without a cache see each other through one that is dropped. */
function placeMemories<Reals extends RealArray>(
  graph: Graph,
  { places, caches }: Accepted<Reals>,
  arrays: Arrays<Reals>,
  inputs: Inputs,
): readonly Memory<Reals>[] {
  const input = graph.inputs.find(({ kind }) => kind === "tokens");
  const tokens = input && inputs[input.name];
  return places.sequences.map(({ first, rows }, i): Memory<Reals> => {
    const cache = caches[i];
    const blocks = cache?.pool.storage ?? new HostBlocks(arrays, cacheSpec(graph), 1, { rows });
    const memory = { blocks, table: cache?.table ?? Uint32Array.of(0), length: cache?.start ?? 0 };
    if (tokens instanceof Int32Array) {
      blocks.writeTokens(memory.table, memory.length, tokens.subarray(first, first + rows));
    }
    return memory;
  });
}

function inputValues<Reals extends RealArray>(graph: Graph, inputs: Inputs, arrays: Arrays<Reals>): Values<Reals> {
  const values: Values<Reals> = new Map();
  for (const input of graph.inputs) {
    const given = inputs[input.name]!; // the frame saw that it is there
    if (given instanceof Int32Array) values.set(input.name, given);
    else {
      const width = graph.widths.get(input.name)!;
      values.set(input.name, { rows: given.length / width, width, data: arrays.from(given) });
    }
  }
  return values;
}

function operandsOf<Reals extends RealArray>(
  graph: Graph,
  { places: { sequences } }: Accepted<Reals>,
  values: Values<Reals>,
  memories: readonly Memory<Reals>[],
  arrays: Arrays<Reals>,
): HostOperands<Reals> {
  const attentions = graph.nodes.filter((node) => node.op === "attention");
  const value = (name: ValueName): HostRows<Reals> => {
    const found = values.get(name)!; // a node comes after what it reads
    return found instanceof Int32Array ? { rows: found.length, width: 1, data: arrays.from(found) } : found;
  };
  return {
    value,
    tokens: (name) => values.get(name) as Int32Array, // the graph's types let nothing else be looked up
    width: (name) => graph.widths.get(name)!,
    sequences,
    positions: sequences.flatMap(({ start, rows }) => Array.from({ length: rows }, (_, i) => start + i)),
    append(node) {
      const [k, v] = [value(node.k), value(node.v)];
      const index = attentions.indexOf(node);
      return sequences.map(({ first, rows }, i): Attended<Reals> => {
        const { blocks, table, length } = memories[i]!; // one for each
        const part = ({ width, data }: HostRows<Reals>) => data.subarray(first * width, (first + rows) * width);
        return { first, rows, start: length, past: blocks.write(table, index, length, part(k), part(v)) };
      });
    },
  };
}

/** Values that the wanted ones are computed from, and those that fill caches. */
function neededValues({ nodes }: Graph, wanted: ReadonlySet<ValueName>): ReadonlySet<ValueName> {
  const needed = new Set(wanted);
  for (const node of [...nodes].reverse()) {
    const isNeeded = results(node).some((name) => needed.has(name));
    for (const name of isNeeded ? operands(node) : appended(node)) needed.add(name);
  }
  return needed;
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
