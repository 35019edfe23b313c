// Evaluates a graph node by node, in order, in float64. With `perturb`, every output is moved at random within the bound
// of what another backend may round: how far that carries to the end is the tolerance of an end-to-end comparison.

import {
  type AttentionNode,
  type CacheOptions,
  type Graph,
  type KvCache,
  type Node,
  operands,
  PolyllamaError,
  type Program,
  type ResolvedStep,
  type RunOptions,
  resolveStep,
  resolveWanted,
  ropeFrequencies,
  type Step,
  type Tensor,
  type ValueName,
  type Wanted,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import type { Rounding } from "./bounds.ts";
import { ReferenceCache } from "./cache.ts";
import { type Matrix, matrix, takeRows } from "./matrix.ts";
import { add, addBound } from "./ops/add.ts";
import { attention } from "./ops/attention.ts";
import { embedding } from "./ops/embedding.ts";
import { linear, linearBound } from "./ops/linear.ts";
import { rmsNorm, rmsNormBound } from "./ops/rms-norm.ts";
import { rope, ropeBound } from "./ops/rope.ts";
import { swiglu, swigluBound } from "./ops/swiglu.ts";

/** Random errors within the bounds of a rounding profile. */
export interface Perturbation {
  readonly rounding: Rounding;
  readonly seed: number;
}

export interface LoadedWeight {
  readonly info: WeightInfo;
  /** Exact values of the stored format. */
  readonly values: Float32Array;
}

type Values = Map<ValueName, Matrix | Int32Array>;

export class ReferenceProgram implements Program {
  readonly graph: Graph;
  private readonly weights: ReadonlyMap<WeightName, LoadedWeight>;
  private readonly attentions: readonly AttentionNode[];
  private readonly noise: ((bound: Matrix) => Float64Array) | undefined;
  private readonly perturbation: Perturbation | undefined;
  private readonly pending = new Set<Promise<unknown>>();
  private disposed = false;

  constructor(graph: Graph, weights: ReadonlyMap<WeightName, LoadedWeight>, perturbation: Perturbation | undefined) {
    this.graph = graph;
    this.weights = weights;
    this.attentions = graph.nodes.filter((node) => node.op === "attention");
    this.perturbation = perturbation;
    this.noise = perturbation && noise(perturbation.seed);
  }

  createCache(capacity: number, { format = "f32" }: CacheOptions = {}): KvCache {
    if (format !== "f32") {
      throw new PolyllamaError(
        "ERR_UNSUPPORTED",
        `The reference keeps its cache in float64, not ${format}; leave the format out.`,
      );
    }
    return new ReferenceCache(this.attentions, capacity);
  }

  async run(step: Step, wanted: readonly Wanted[], { signal }: RunOptions = {}): Promise<readonly Tensor[]> {
    if (this.disposed) throw new PolyllamaError("ERR_DISPOSED", "This program was disposed.");
    signal?.throwIfAborted();
    const resolved = resolveStep(this.graph, step);
    const requests = wanted.map((entry) => resolveWanted(this.graph, entry));
    const caches = resolved.sequences.map(({ cache, start, rows }) => this.claim(cache, start + rows));
    const run = this.evaluate(step, resolved, caches, new Set(requests.map(({ value }) => value)), signal);
    this.pending.add(run);
    try {
      const values = await run;
      resolved.sequences.forEach(({ cache, rows }, i) => {
        if (cache !== undefined) caches[i]!.length += rows;
      });
      const lastRows = resolved.sequences.map(({ first, rows }) => first + rows - 1);
      return requests.map(({ value, rows }) => {
        const all = asMatrix(values.get(value)!);
        const { data, ...shape } = rows === "last" ? takeRows(all, lastRows) : { ...all, data: all.data.slice() };
        return { shape: [shape.rows, shape.width], data };
      });
    } finally {
      this.pending.delete(run);
      for (const cache of caches) cache.busy = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    await Promise.allSettled(this.pending);
  }

  private claim(cache: KvCache | undefined, needed: number): ReferenceCache {
    const own = cache ?? new ReferenceCache(this.attentions, needed);
    if (!(own instanceof ReferenceCache)) {
      throw new PolyllamaError("ERR_GRAPH", "The cache belongs to another backend; create it with this program.");
    }
    own.claimable();
    own.busy = true;
    return own;
  }

  private async evaluate(
    step: Step,
    resolved: ResolvedStep,
    caches: readonly ReferenceCache[],
    wanted: ReadonlySet<ValueName>,
    signal: AbortSignal | undefined,
  ): Promise<Values> {
    const positions = resolved.sequences.flatMap(({ start, rows }) =>
      Array.from({ length: rows }, (_, i) => start + i),
    );
    const values: Values = new Map();
    for (const input of this.graph.inputs) {
      const given = step.inputs[input.name]!;
      const matrixOf = (width: number) => ({ rows: resolved.rows, width, data: Float64Array.from(given) });
      values.set(input.name, input.kind === "activations" ? matrixOf(input.width) : Int32Array.from(given));
    }
    const lastUse = new Map<ValueName, Node>();
    for (const node of this.graph.nodes) for (const name of operands(node)) lastUse.set(name, node);

    for (const node of this.graph.nodes) {
      await macrotask(); // so that timers run and an abort is heard
      signal?.throwIfAborted();
      values.set(node.output, this.compute(node, values, positions, resolved, caches));
      for (const name of operands(node)) if (lastUse.get(name) === node && !wanted.has(name)) values.delete(name);
    }
    return values;
  }

  private compute(
    node: Node,
    values: Values,
    positions: readonly number[],
    resolved: ResolvedStep,
    caches: readonly ReferenceCache[],
  ): Matrix {
    const value = (name: ValueName): Matrix => asMatrix(values.get(name)!);
    const weight = (name: WeightName): Float32Array => this.weights.get(name)!.values;
    const rounding = this.perturbation?.rounding;
    const perturbed = (y: Matrix, bound: (rounding: Rounding) => Matrix): Matrix => {
      if (rounding === undefined || this.noise === undefined) return y;
      const moved = this.noise(bound(rounding));
      return { ...y, data: y.data.map((exact, i) => exact + moved[i]!) };
    };

    switch (node.op) {
      case "embedding": {
        const tokens = values.get(node.tokens) as Int32Array; // the graph's builder takes nothing else here
        return embedding(tokens, weight(node.table), this.graph.widths.get(node.output)!);
      }
      case "rmsNorm": {
        const y = rmsNorm(value(node.x), weight(node.weight), node.eps);
        return perturbed(y, (r) => rmsNormBound(y, r));
      }
      case "linear": {
        const { int8Activations: int8 } = rounding ?? {};
        const rounded = int8?.formats.includes(this.weights.get(node.weight)!.info.format) ? int8.block : undefined;
        const x = value(node.x);
        return perturbed(linear(x, weight(node.weight)), (r) => linearBound(x, weight(node.weight), r, rounded));
      }
      case "rope": {
        const frequencies = ropeFrequencies(node);
        const x = value(node.x);
        return perturbed(rope(x, positions, frequencies), (r) => ropeBound(x, positions, frequencies, r));
      }
      case "attention": {
        const [q, k, v] = [value(node.q), value(node.k), value(node.v)];
        const y = matrix(q.rows, q.width);
        const bound = matrix(q.rows, q.width);
        const index = this.attentions.indexOf(node);
        resolved.sequences.forEach((sequence, i) => {
          const start = sequence.cache === undefined ? 0 : sequence.start;
          const part = (x: Matrix) =>
            x.data.subarray(sequence.first * x.width, (sequence.first + sequence.rows) * x.width);
          const past = caches[i]!.write(index, start, part(k), part(v));
          attention(q, past, node, { ...sequence, start }, y);
          if (rounding) attention(q, past, node, { ...sequence, start }, bound, rounding);
        });
        return perturbed(y, () => bound);
      }
      case "swiglu": {
        const [gate, up] = [value(node.gate), value(node.up)];
        return perturbed(swiglu(gate, up), (r) => swigluBound(gate, up, r));
      }
      case "add": {
        const y = add(value(node.a), value(node.b));
        return perturbed(y, (r) => addBound(y, r));
      }
    }
  }
}

function asMatrix(value: Matrix | Int32Array): Matrix {
  return value instanceof Int32Array ? { rows: value.length, width: 1, data: Float64Array.from(value) } : value;
}

/** Uniform in [-bound, bound], from a 32-bit xorshift. */
function noise(seed: number): (bound: Matrix) => Float64Array {
  let state = (seed ^ 0x9e3779b9) | 1;
  return ({ data }) =>
    data.map((bound) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return bound * ((state >>> 0) / 2 ** 31 - 1);
    });
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
