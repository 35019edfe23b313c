// A compiled graph of the reference: checks steps, keeps caches, and evaluates. `runWithBounds` also returns how far others may be from
// each value; with `perturb`, every output is moved at random within its bound.

import {
  type AttentionNode,
  acquireCaches,
  advanceCaches,
  type CacheOptions,
  cacheOptionTypes,
  checkOptions,
  type Graph,
  type KvCache,
  PolyllamaError,
  type Program,
  type RunOptions,
  resolveStep,
  resolveWanted,
  runOptionTypes,
  type Step,
  type Tensor,
  type ValueName,
  type Wanted,
  type WeightName,
} from "@polyllama/core";
import type { Rounding } from "./bounds.ts";
import { ReferenceCache } from "./cache.ts";
import { type EvaluatedGraph, evaluate } from "./evaluate.ts";
import type { LoadedWeight } from "./loaded-weight.ts";
import { type Matrix, takeRows } from "./matrix.ts";
import { exactly, type Perturbation, perturbed, type Settle } from "./perturb.ts";

/** An exact value, and how far a backend may be from each element when the operation's inputs are exact. */
export interface BoundedTensor {
  /** [rows, width] */
  readonly value: Tensor;
  /** [rows, width], not negative. */
  readonly bound: Tensor;
}

/** A graph in float64, one operation after the other. */
export class ReferenceProgram implements Program {
  readonly graph: Graph;
  /** Called once, when it has been disposed. */
  onDispose: () => void = () => undefined;
  private weights: ReadonlyMap<WeightName, LoadedWeight>;
  private readonly attentions: readonly AttentionNode[];
  private readonly settle: Settle;
  private readonly pending = new Set<Promise<unknown>>();
  private disposed: Promise<void> | undefined;

  constructor(graph: Graph, weights: ReadonlyMap<WeightName, LoadedWeight>, perturbation: Perturbation | undefined) {
    this.graph = graph;
    this.weights = weights;
    this.attentions = graph.nodes.filter((node) => node.op === "attention");
    this.settle = perturbation === undefined ? exactly : perturbed(perturbation);
  }

  createCache(capacity: number, options: CacheOptions = {}): KvCache {
    this.assertAlive();
    checkOptions(options, cacheOptionTypes, "createCache()");
    const { format = "f32" } = options;
    return new ReferenceCache(this.attentions, capacity, format);
  }

  async run(step: Step, wanted: readonly Wanted[], options: RunOptions = {}): Promise<readonly Tensor[]> {
    checkOptions(options, runOptionTypes, "run()");
    return this.advance(step, wanted, options, undefined, (computed, value, rows) =>
      tensor(computed.value(value), rows),
    );
  }

  /** Like `run`; values that no operation computes have a bound of zero. */
  async runWithBounds(step: Step, wanted: readonly Wanted[], rounding: Rounding): Promise<readonly BoundedTensor[]> {
    return this.advance(step, wanted, {}, rounding, (computed, value, rows) => ({
      value: tensor(computed.value(value), rows),
      bound: tensor(computed.bound(value), rows),
    }));
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
    pick: (computed: EvaluatedGraph, value: ValueName, rows: readonly number[] | undefined) => Result,
  ): Promise<readonly Result[]> {
    this.assertAlive();
    const { signal } = options;
    signal?.throwIfAborted();
    const resolved = resolveStep(this.graph, step);
    const requests = wanted.map((entry) => resolveWanted(this.graph, entry));
    const isOwn = (cache: KvCache | undefined): cache is ReferenceCache =>
      cache instanceof ReferenceCache && cache.attentions === this.attentions;
    const acquired = acquireCaches(resolved.sequences, isOwn);
    const evaluation = evaluate({
      graph: this.graph,
      weights: this.weights,
      inputs: step.inputs,
      sequences: resolved.sequences.map(({ first, rows, start, cache }) => {
        return { first, rows, start, memory: isOwn(cache) ? cache : new ReferenceCache(this.attentions, rows) };
      }),
      wanted: new Set(requests.map(({ value }) => value)),
      settle: this.settle,
      rounding,
      signal,
    });
    const run = advanceCaches(acquired, evaluation);
    this.pending.add(run);
    try {
      const computed = await run;
      const lastRows = resolved.sequences.map(({ first, rows }) => first + rows - 1);
      return requests.map(({ value, rows }) => pick(computed, value, rows === "last" ? lastRows : undefined));
    } finally {
      this.pending.delete(run);
    }
  }
}

/** All rows, or the given ones. */
function tensor(x: Matrix, rows: readonly number[] | undefined): Tensor {
  const picked = rows === undefined ? { ...x, data: x.data.slice() } : takeRows(x, rows);
  return { shape: [picked.rows, picked.width], data: picked.data };
}
