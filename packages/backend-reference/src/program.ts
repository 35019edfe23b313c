// Evaluates a graph node by node, in order, in float64. Every node knows how far a backend that rounds as declared may be
// from its exact output, given its exact inputs. `runWithBounds` returns it; with `perturb`, every output
// is moved at random within it, and how far that carries to the end of a model is the tolerance of an end-to-end comparison.

import {
  type AttentionNode,
  acquireCaches,
  advanceCaches,
  type CacheOptions,
  cacheOptionTypes,
  checkOptions,
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
  ropeMagnitude,
  runOptionTypes,
  type Step,
  type Tensor,
  type ValueName,
  type Wanted,
  type WeightName,
} from "@polyllama/core";
import type { Rounding } from "./bounds.ts";
import { ReferenceCache } from "./cache.ts";
import { type Matrix, matrix, takeRows } from "./matrix.ts";
import { add, addBound } from "./ops/add.ts";
import { attention } from "./ops/attention.ts";
import { embedding } from "./ops/embedding.ts";
import { type LoadedWeight, linear, linearBound } from "./ops/linear.ts";
import { rmsNorm, rmsNormBound } from "./ops/rms-norm.ts";
import { rope, ropeBound } from "./ops/rope.ts";
import { swiglu, swigluBound } from "./ops/swiglu.ts";

/** Random errors within the bounds of a rounding profile. */
export interface Perturbation {
  readonly rounding: Rounding;
  readonly seed: number;
}

/** An exact value, and how far a backend may be from each element when the operation's inputs are exact. */
export interface BoundedTensor {
  /** [rows, width] */
  readonly value: Tensor;
  /** [rows, width], not negative. */
  readonly bound: Tensor;
}

type Values = Map<ValueName, Matrix | Int32Array>;

/** A node's output; its bound is only computed when somebody wants it. */
interface Evaluated {
  readonly exact: Matrix;
  bound(rounding: Rounding): Matrix;
}

interface Evaluation {
  readonly step: Step;
  readonly resolved: ResolvedStep;
  readonly caches: readonly ReferenceCache[];
  readonly wanted: ReadonlySet<ValueName>;
  readonly signal: AbortSignal | undefined;
  /** Collects bounds of the wanted values. */
  readonly bounds?: { readonly rounding: Rounding; readonly of: Map<ValueName, Matrix> };
}

/** A graph in float64, one operation after the other. */
export class ReferenceProgram implements Program {
  readonly graph: Graph;
  /** Called once, when it has been disposed. */
  onDispose: () => void = () => undefined;
  private weights: ReadonlyMap<WeightName, LoadedWeight>;
  private readonly attentions: readonly AttentionNode[];
  private readonly noise: ((bound: Matrix) => Float64Array) | undefined;
  private readonly perturbation: Perturbation | undefined;
  private readonly pending = new Set<Promise<unknown>>();
  private disposed: Promise<void> | undefined;

  constructor(graph: Graph, weights: ReadonlyMap<WeightName, LoadedWeight>, perturbation: Perturbation | undefined) {
    this.graph = graph;
    this.weights = weights;
    this.attentions = graph.nodes.filter((node) => node.op === "attention");
    this.perturbation = perturbation;
    this.noise = perturbation && noise(perturbation.seed);
  }

  createCache(capacity: number, options: CacheOptions = {}): KvCache {
    this.assertAlive();
    checkOptions(options, cacheOptionTypes, "createCache()");
    const { format = "f32" } = options;
    return new ReferenceCache(this.attentions, capacity, format);
  }

  async run(step: Step, wanted: readonly Wanted[], options: RunOptions = {}): Promise<readonly Tensor[]> {
    checkOptions(options, runOptionTypes, "run()");
    return this.advance(step, wanted, options, undefined, ({ values }, value, rows) =>
      tensor(asMatrix(values.get(value)!), rows),
    );
  }

  /** Like `run`; values that no operation computes have a bound of zero. */
  async runWithBounds(step: Step, wanted: readonly Wanted[], rounding: Rounding): Promise<readonly BoundedTensor[]> {
    return this.advance(step, wanted, {}, rounding, ({ values, bounds }, value, rows) => {
      const exact = asMatrix(values.get(value)!);
      const bound = bounds.get(value) ?? matrix(exact.rows, exact.width);
      return { value: tensor(exact, rows), bound: tensor(bound, rows) };
    });
  }

  /** Waits for runs under way, then frees the weights. */
  [Symbol.asyncDispose](): Promise<void> {
    this.disposed ??= this.dispose();
    return this.disposed;
  }

  private async dispose(): Promise<void> {
    await Promise.allSettled(this.pending);
    this.weights = new Map();
    this.onDispose();
  }

  private assertAlive(): void {
    if (this.disposed !== undefined)
      throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
  }

  private async advance<Result>(
    step: Step,
    wanted: readonly Wanted[],
    options: RunOptions,
    rounding: Rounding | undefined,
    pick: (
      computed: { readonly values: Values; readonly bounds: ReadonlyMap<ValueName, Matrix> },
      value: ValueName,
      rows: readonly number[] | undefined,
    ) => Result,
  ): Promise<readonly Result[]> {
    this.assertAlive();
    const { signal } = options;
    signal?.throwIfAborted();
    const resolved = resolveStep(this.graph, step);
    const requests = wanted.map((entry) => resolveWanted(this.graph, entry));
    const isOwn = (cache: KvCache | undefined): cache is ReferenceCache =>
      cache instanceof ReferenceCache && cache.attentions === this.attentions;
    const acquired = acquireCaches(resolved.sequences, isOwn);
    const caches = resolved.sequences.map(({ cache, rows }) =>
      isOwn(cache) ? cache : new ReferenceCache(this.attentions, rows),
    );
    const bounds = new Map<ValueName, Matrix>();
    const evaluation = this.evaluate({
      step,
      resolved,
      caches,
      wanted: new Set(requests.map(({ value }) => value)),
      signal,
      ...(rounding && { bounds: { rounding, of: bounds } }),
    });
    const run = advanceCaches(acquired, evaluation);
    this.pending.add(run);
    try {
      const values = await run;
      const lastRows = resolved.sequences.map(({ first, rows }) => first + rows - 1);
      return requests.map(({ value, rows }) => pick({ values, bounds }, value, rows === "last" ? lastRows : undefined));
    } finally {
      this.pending.delete(run);
    }
  }

  private async evaluate({ step, resolved, caches, wanted, signal, bounds }: Evaluation): Promise<Values> {
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

    const needed = neededValues(this.graph, wanted);
    for (const node of this.graph.nodes) {
      const fills = node.op === "attention";
      if (!fills && !needed.has(node.output)) continue;
      await macrotask(); // so that timers run and an abort is heard
      signal?.throwIfAborted();
      if (fills && !needed.has(node.output)) {
        this.fill(node, values, resolved, caches);
        continue;
      }
      const evaluated = this.compute(node, values, positions, resolved, caches);
      values.set(node.output, this.perturbed(evaluated));
      if (bounds && wanted.has(node.output)) bounds.of.set(node.output, evaluated.bound(bounds.rounding));
      for (const name of operands(node)) if (lastUse.get(name) === node && !wanted.has(name)) values.delete(name);
    }
    return values;
  }

  /** Writes keys and values, and gives what every sequence then attends to. */
  private fill(node: AttentionNode, values: Values, resolved: ResolvedStep, caches: readonly ReferenceCache[]) {
    const [k, v] = [asMatrix(values.get(node.k)!), asMatrix(values.get(node.v)!)];
    const index = this.attentions.indexOf(node);
    return resolved.sequences.map((sequence, i) => {
      const part = (x: Matrix) => x.data.subarray(sequence.first * x.width, (sequence.first + sequence.rows) * x.width);
      const start = sequence.cache === undefined ? 0 : sequence.start;
      return { place: { ...sequence, start }, past: caches[i]!.write(index, start, part(k), part(v)) };
    });
  }

  private perturbed({ exact, bound }: Evaluated): Matrix {
    if (this.perturbation === undefined || this.noise === undefined) return exact;
    const moved = this.noise(bound(this.perturbation.rounding));
    return { ...exact, data: exact.data.map((value, i) => value + moved[i]!) };
  }

  private compute(
    node: Node,
    values: Values,
    positions: readonly number[],
    resolved: ResolvedStep,
    caches: readonly ReferenceCache[],
  ): Evaluated {
    const value = (name: ValueName): Matrix => asMatrix(values.get(name)!);
    const weight = (name: WeightName): LoadedWeight => this.weights.get(name)!;

    switch (node.op) {
      case "embedding": {
        const tokens = values.get(node.tokens) as Int32Array; // the graph's builder takes nothing else here
        const y = embedding(tokens, weight(node.table).values, this.graph.widths.get(node.output)!);
        return { exact: y, bound: () => matrix(y.rows, y.width) };
      }
      case "rmsNorm": {
        const x = value(node.x);
        const { values: scales } = weight(node.weight);
        const y = rmsNorm(x, scales, node.eps);
        return { exact: y, bound: (rounding) => rmsNormBound(y, x, scales, node.eps, rounding) };
      }
      case "linear": {
        const x = value(node.x);
        const w = weight(node.weight);
        return { exact: linear(x, w.values), bound: (rounding) => linearBound(x, w, rounding) };
      }
      case "rope": {
        const x = value(node.x);
        const frequencies = ropeFrequencies(node);
        const magnitude = ropeMagnitude(node);
        return {
          exact: rope(x, positions, frequencies, magnitude),
          bound: (rounding) => ropeBound(x, positions, frequencies, magnitude, rounding),
        };
      }
      case "attention": {
        const q = value(node.q);
        const pasts = this.fill(node, values, resolved, caches);
        const compute = (rounding?: Rounding): Matrix => {
          const y = matrix(q.rows, q.width);
          for (const { place, past } of pasts) attention(q, past, node, place, y, rounding);
          return y;
        };
        return { exact: compute(), bound: compute };
      }
      case "swiglu": {
        const [gate, up] = [value(node.gate), value(node.up)];
        return { exact: swiglu(gate, up), bound: (rounding) => swigluBound(gate, up, rounding) };
      }
      case "add": {
        const y = add(value(node.a), value(node.b));
        return { exact: y, bound: (rounding) => addBound(y, rounding) };
      }
    }
  }
}

/** Values that the wanted ones are computed from, and those that fill caches. */
function neededValues({ nodes }: Graph, wanted: ReadonlySet<ValueName>): ReadonlySet<ValueName> {
  const needed = new Set(wanted);
  for (const node of [...nodes].reverse()) {
    if (needed.has(node.output)) for (const name of operands(node)) needed.add(name);
    else if (node.op === "attention") needed.add(node.k).add(node.v);
  }
  return needed;
}

/** All rows, or the given ones. */
function tensor(x: Matrix, rows: readonly number[] | undefined): Tensor {
  const picked = rows === undefined ? { ...x, data: x.data.slice() } : takeRows(x, rows);
  return { shape: [picked.rows, picked.width], data: picked.data };
}

function asMatrix(value: Matrix | Int32Array): Matrix {
  return value instanceof Int32Array ? { rows: value.length, width: 1, data: Float64Array.from(value) } : value;
}

/** Uniform in [-bound, bound], from a 32-bit xorshift. */
function noise(seed: number): (bound: Matrix) => Float64Array {
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1; // zero is xorshift's fixed point
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
