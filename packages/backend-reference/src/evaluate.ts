// Evaluates a graph node by node, in order, in float64. Every node knows how far a backend that rounds as declared may be from its exact
// output, given its exact inputs. Only what somebody wants is computed, and what fills caches.

import { appended, byOp, type Graph, operands, type Step, type ValueName, type WeightName } from "@polyllama/core";
import type { Rounding } from "./bounds.ts";
import type { LoadedWeight } from "./loaded-weight.ts";
import { type Matrix, matrix } from "./matrix.ts";
import type { Attended, KeysAndValues, Operands } from "./ops/evaluator.ts";
import { evaluators } from "./ops/index.ts";
import type { Settle } from "./perturb.ts";

/** Keys and values of a sequence. */
export interface SequenceMemory {
  /** Positions that it holds before the step. */
  readonly length: number;
  /** Writes rows of k and v of the attention with this number, from position `start` on, and gives all up to there. */
  write(attention: number, start: number, k: Float64Array, v: Float64Array): KeysAndValues;
}

/** A sequence's part of a step. */
export interface SequenceRows {
  readonly first: number;
  readonly rows: number;
  /** Position of the first row. */
  readonly start: number;
  readonly memory: SequenceMemory;
  readonly adapter: string | undefined;
}

/** Low-rank additions to weights. */
export interface Adapters {
  /** Adds what an adapter makes of x [N, K] to y [N, M]. */
  adapt(adapter: string, name: WeightName, x: Matrix, y: Matrix): void;
}

/** What is evaluated. */
export interface Evaluation {
  readonly graph: Graph;
  readonly weights: ReadonlyMap<WeightName, LoadedWeight>;
  readonly adapters: Adapters;
  readonly inputs: Step["inputs"];
  readonly sequences: readonly SequenceRows[];
  readonly wanted: ReadonlySet<ValueName>;
  readonly settle: Settle;
  /** Roundings that bounds of the wanted values are computed for. */
  readonly rounding: Rounding | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Values that were wanted, and how far a backend may be from those that an op has computed, given exact operands. */
export interface EvaluatedGraph {
  value(name: ValueName): Matrix;
  /** Zero for values that no op has computed. */
  bound(name: ValueName): Matrix;
}

type Values = Map<ValueName, Matrix | Int32Array>;

/** @throws the signal's reason; `PolyllamaError` `ERR_GRAPH` for a token that its table does not have. */
export async function evaluate(evaluation: Evaluation): Promise<EvaluatedGraph> {
  const { graph, wanted, settle, rounding, signal } = evaluation;
  const values = inputValues(evaluation);
  const bounds = new Map<ValueName, Matrix>();
  const from = operandsOf(evaluation, values);
  const needed = neededValues(graph, wanted);
  const lastUse = new Map<ValueName, ValueName>();
  for (const node of graph.nodes) for (const name of operands(node)) lastUse.set(name, node.output);

  for (const node of graph.nodes) {
    if (!needed.has(node.output) && appended(node).length === 0) continue;
    await macrotask(); // so that timers run and an abort is heard
    signal?.throwIfAborted();
    const evaluated = byOp(evaluators, node, from); // which fills caches
    if (needed.has(node.output)) values.set(node.output, settle(evaluated));
    if (rounding && wanted.has(node.output)) bounds.set(node.output, evaluated.bound(rounding));
    for (const name of operands(node)) if (lastUse.get(name) === node.output && !wanted.has(name)) values.delete(name);
  }
  const value = (name: ValueName): Matrix => asMatrix(values.get(name)!);
  return {
    value,
    bound(name) {
      const { rows, width } = value(name);
      return bounds.get(name) ?? matrix(rows, width);
    },
  };
}

function inputValues({ graph, inputs, sequences }: Evaluation): Values {
  const values: Values = new Map();
  const rows = sequences.reduce((sum, sequence) => sum + sequence.rows, 0);
  for (const input of graph.inputs) {
    const given = inputs[input.name]!;
    const activations = (width: number): Matrix => ({ rows, width, data: Float64Array.from(given) });
    values.set(input.name, input.kind === "activations" ? activations(input.width) : Int32Array.from(given));
  }
  return values;
}

function operandsOf({ graph, weights, adapters, sequences }: Evaluation, values: Values): Operands {
  const value = (name: ValueName): Matrix => asMatrix(values.get(name)!);
  const attentions = graph.nodes.filter((node) => node.op === "attention");
  return {
    value,
    tokens: (name) => values.get(name) as Int32Array, // the graph's types let nothing else be looked up
    weight: (name) => weights.get(name)!,
    adapt(name, x, y) {
      for (const { first, rows, adapter } of sequences) {
        const part = ({ width, data }: Matrix): Matrix => {
          return { rows, width, data: data.subarray(first * width, (first + rows) * width) };
        };
        if (adapter !== undefined) adapters.adapt(adapter, name, part(x), part(y));
      }
      return y;
    },
    width: (name) => graph.widths.get(name)!,
    positions: sequences.flatMap(({ start, rows }) => Array.from({ length: rows }, (_, i) => start + i)),
    append(node) {
      const [k, v] = [value(node.k), value(node.v)];
      const index = attentions.indexOf(node);
      return sequences.map(({ first, rows, memory }): Attended => {
        const part = (x: Matrix) => x.data.subarray(first * x.width, (first + rows) * x.width);
        const start = memory.length;
        return { first, rows, start, past: memory.write(index, start, part(k), part(v)) };
      });
    },
  };
}

/** Values that the wanted ones are computed from, and those that fill caches. */
function neededValues({ nodes }: Graph, wanted: ReadonlySet<ValueName>): ReadonlySet<ValueName> {
  const needed = new Set(wanted);
  for (const node of [...nodes].reverse()) {
    for (const name of needed.has(node.output) ? operands(node) : appended(node)) needed.add(name);
  }
  return needed;
}

function asMatrix(value: Matrix | Int32Array): Matrix {
  return value instanceof Int32Array ? { rows: value.length, width: 1, data: Float64Array.from(value) } : value;
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
