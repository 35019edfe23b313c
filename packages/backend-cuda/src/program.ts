// A compiled graph: weights on the card, a plan per set of values asked for, memory per plan, and the caches it gave out. A step's
// rows are computed in chunks, and those of sequences that advance by few rows apart from the others (plan.ts says why).

import {
  acquireCaches,
  advanceCaches,
  type CacheFormat,
  type CacheOptions,
  ContextOverflowError,
  cacheOptionTypes,
  checkNumber,
  checkOptions,
  createSampler,
  exp2Table,
  type Graph,
  type KvCache,
  PolyllamaError,
  type Program,
  type RealArray,
  type ResolvedSequence,
  type ResolvedStep,
  type ResolvedWanted,
  type RunOptions,
  resolveStep,
  resolveWanted,
  runOptionTypes,
  type SampleRun,
  type Step,
  type Tensor,
  type ValueName,
  type Wanted,
  wantedTensors,
} from "@polyllama/core";
import { Execution, outputRow, type Sampler, type StepRow } from "./execution.ts";
import type { RowExponents } from "./exponents.ts";
import type { Gpu } from "./gpu.ts";
import { partKeys } from "./kernels/attention_split.ts";
import { noBlocks } from "./kernels/row.ts";
import { type CacheOwner, CudaKvCache } from "./kv-cache.ts";
import type { DeviceMemory } from "./memory.ts";
import { fewRows, type Mode, makePlan, type Plan } from "./plan.ts";
import type { LoadedWeights } from "./weights/loaded.ts";

/** Rows that are computed at once, at most. */
export const chunkRows = 512;
/** Tokens that the kernel `sample` tells apart (sample.cu, id_bits). */
const mostSampled = 2 ** 20;
/** Plans whose memory is kept. */
const keptExecutions = 8;

export class CudaProgram implements Program {
  readonly graph: Graph;
  readonly #gpu: Gpu;
  readonly #weights: LoadedWeights;
  readonly #exponents: RowExponents | undefined;
  /** Of caches, where nothing else is asked for. */
  readonly #format: CacheFormat;
  readonly #owner: CacheOwner;
  readonly #onDispose: (program: CudaProgram) => void;
  readonly #plans = new Map<string, Plan>();
  /** Least recently used first. */
  readonly #executions = new Map<string, Execution>();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #generations = new Set<SampledSteps>();
  /** Undefined where a vocabulary is too large for the kernel that chooses tokens. */
  readonly sample: Program["sample"];
  #disposed: Promise<void> | undefined;

  constructor(
    gpu: Gpu,
    graph: Graph,
    weights: LoadedWeights,
    exponents: RowExponents | undefined,
    format: CacheFormat,
    onDispose: (program: CudaProgram) => void,
  ) {
    this.graph = graph;
    this.#gpu = gpu;
    this.#weights = weights;
    this.#exponents = exponents;
    this.#format = format;
    this.#onDispose = onDispose;
    const [logits = ""] = graph.outputs;
    const width = graph.widths.get(logits) ?? 0;
    this.sample = width > mostSampled ? undefined : (run, options) => this.#sample(run, options);
    this.#owner = { gpu, attentions: graph.nodes.filter((node) => node.op === "attention"), caches: new Set() };
  }

  /** Plans what runs will ask for. */
  prepare(wanted: readonly Wanted[]): void {
    const asked = wanted.map((entry) => resolveWanted(this.graph, entry));
    const names = (which: "all" | "last") =>
      new Set(asked.filter(({ rows }) => rows === which).map(({ value }) => value));
    const fillsCaches = this.#owner.attentions.length > 0;
    for (const mode of ["few", "many"] as const) this.#plan(mode, names("all"), names("last"), fillsCaches);
  }

  createCache(capacity: number, options: CacheOptions = {}): KvCache {
    this.#assertAlive();
    checkOptions(options, cacheOptionTypes, "createCache()");
    const { format = this.#format } = options;
    return new CudaKvCache(this.#owner, capacity, format);
  }

  async run(step: Step, wanted: readonly Wanted[], options: RunOptions = {}): Promise<readonly Tensor[]> {
    this.#assertAlive();
    checkOptions(options, runOptionTypes, "run()");
    options.signal?.throwIfAborted();
    const resolved = resolveStep(this.graph, step);
    const asked = wanted.map((entry) => resolveWanted(this.graph, entry));
    const caches = acquireCaches(resolved.sequences, (cache) => this.#isOwn(cache));
    const { signal } = options;
    const run = this.#gpu.turns.run(signal, () => this.#runAll(step, resolved, asked, signal));
    return this.#track(advanceCaches(caches, run));
  }

  /** Work that disposing waits for. */
  async #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#pending.add(work);
    try {
      return await work;
    } finally {
      this.#pending.delete(work);
    }
  }

  async *#sample(
    { cache, tokens, sampling, count }: SampleRun,
    options: RunOptions = {},
  ): AsyncGenerator<number, void, undefined> {
    this.#assertAlive();
    checkOptions(options, runOptionTypes, "sample()");
    const { signal } = options;
    signal?.throwIfAborted();
    checkNumber(count, "count", { least: 1, integer: true });
    const [input] = this.graph.inputs;
    const [logits] = this.graph.outputs;
    if (input?.kind !== "tokens" || this.graph.inputs.length !== 1 || logits === undefined) {
      throw new PolyllamaError("ERR_GRAPH", "Tokens can only be chosen by a graph from tokens to logits.");
    }
    const step: Step = { inputs: { [input.name]: tokens }, batch: [{ rows: tokens.length, cache }] };
    const resolved = resolveStep(this.graph, step);
    const end = cache.length + tokens.length + count - 1;
    if (end > cache.capacity) throw new ContextOverflowError(end, cache.capacity, "Ask for fewer tokens.");
    const start = cache.length;
    const [own] = acquireCaches(resolved.sequences, (cache) => this.#isOwn(cache)).keys();
    let taken = 0;
    let steps: SampledSteps | undefined;
    try {
      // The prompt's logits come to the host, where the same integers choose the first token.
      const asked = [resolveWanted(this.graph, { value: logits, rows: "last" })];
      const run = this.#gpu.turns.run(signal, () => this.#runAll(step, resolved, asked, signal));
      const [tensor] = await this.#track(run);
      this.#assertAlive();
      const position = start + tokens.length;
      const sampler = createSampler(sampling);
      const first = sampler.sample(tensor!.data, new Array<number>(position), position);
      taken = 1;
      yield first;
      this.#assertAlive();
      if (count === 1) return;
      steps = new SampledSteps(this.#gpu, this.#samplingPlan(logits), own!, { logits, draw: sampling });
      this.#generations.add(steps);
      for (let enqueued = 1; taken < count; ) {
        for (; enqueued < count && enqueued < taken + 2; enqueued++) {
          const at = position + enqueued - 1;
          const running = steps;
          const given = enqueued === 1 ? first : undefined;
          const turn = this.#gpu.turns.run(signal, async () => {
            this.#assertAlive();
            running.enqueue(at, given);
          });
          await this.#track(turn);
        }
        const token = await this.#track(steps.next());
        signal?.throwIfAborted();
        this.#assertAlive();
        if (token === undefined) {
          throw new PolyllamaError("ERR_BACKEND", `A logit of "${logits}" is NaN; the backend computed wrongly.`);
        }
        taken++;
        yield token;
        this.#assertAlive();
      }
    } finally {
      await steps?.[Symbol.asyncDispose]();
      if (steps !== undefined) this.#generations.delete(steps);
      own!.releaseAt(taken === 0 ? start : start + tokens.length + taken - 1);
    }
  }

  #samplingPlan(logits: ValueName): Plan {
    const fillsCaches = this.#owner.attentions.length > 0;
    return this.#plan("few", new Set(), new Set([logits]), fillsCaches)[1];
  }

  #isOwn(cache: KvCache | undefined): cache is CudaKvCache {
    return cache instanceof CudaKvCache && cache.owner === this.#owner;
  }

  async #runAll(
    step: Step,
    resolved: ResolvedStep,
    asked: readonly ResolvedWanted[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Tensor[]> {
    const { sequences } = resolved;
    const tensors = wantedTensors(this.graph, step, resolved, asked);
    const temporary: CudaKvCache[] = [];
    try {
      // Rows without a cache see each other through one that is dropped with the run.
      const homes = sequences.map(({ cache, rows: count }): CudaKvCache | undefined => {
        if (this.#isOwn(cache)) return cache;
        if (this.#owner.attentions.length === 0) return undefined;
        const made = new CudaKvCache(this.#owner, count, this.#format);
        temporary.push(made);
        return made;
      });
      for (const mode of ["few", "many"] as const) {
        const chosen = sequences.filter(({ rows: count }) => count <= fewRows === (mode === "few"));
        if (chosen.length > 0) await this.#runMode(mode, step, sequences, chosen, homes, asked, tensors, signal);
      }
      return tensors;
    } finally {
      for (const cache of temporary) cache[Symbol.dispose]();
    }
  }

  async #runMode(
    mode: Mode,
    step: Step,
    sequences: readonly ResolvedSequence[],
    chosen: readonly ResolvedSequence[],
    homes: readonly (CudaKvCache | undefined)[],
    asked: readonly ResolvedWanted[],
    tensors: readonly Tensor[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const computed = asked.filter(({ value }) => step.inputs[value] === undefined);
    const names = (which: "all" | "last") =>
      new Set(computed.filter(({ rows }) => rows === which).map(({ value }) => value));
    const [all, last] = [names("all"), names("last")];
    const fillsCaches = sequences.some(({ cache }) => cache !== undefined) && this.#owner.attentions.length > 0;
    const [planKey, plan] = this.#plan(mode, all, last, fillsCaches);
    if (plan.steps.length === 0) return;

    const tokens = plan.tokens === undefined ? undefined : (step.inputs[plan.tokens] as Int32Array); // resolveStep refuses reals here
    const inputs = new Map<ValueName, RealArray>();
    for (const name of plan.inputs.keys()) inputs.set(name, step.inputs[name] as RealArray); // and tokens here
    const rows: (StepRow & { readonly sequence: number })[] = [];
    let longest = 1;
    for (const sequence of chosen) {
      const index = sequences.indexOf(sequence);
      const home = homes[index];
      const start = sequence.cache === undefined ? 0 : sequence.start;
      longest = Math.max(longest, home?.capacity ?? 1);
      for (let i = 0; i < sequence.rows; i++) {
        rows.push({
          sequence: index,
          token: tokens?.[sequence.first + i] ?? 0,
          blocks: home?.blocks ?? noBlocks,
          position: start + i,
          angle: sequence.start + i,
          index: sequence.first + i,
          last: i === sequence.rows - 1,
        });
      }
    }
    const parts = mode === "many" ? 1 : partsOf(longest);
    const graph = mode === "few" && chosen.every(({ rows: count }) => count === 1);
    for (let first = 0; first < rows.length; first += chunkRows) {
      signal?.throwIfAborted();
      const chunk = rows.slice(first, first + chunkRows);
      const execution = this.#execution(planKey, plan, chunk.length, parts, graph);
      const outputs = await execution.run(chunk, inputs, graph);
      for (const [entry, { value, rows: which }] of asked.entries()) {
        const output = outputs.get(value);
        if (output === undefined) continue;
        const width = this.graph.widths.get(value)!;
        const { data } = tensors[entry]!;
        let selected = 0;
        for (const [n, row] of chunk.entries()) {
          const source = output.place.storage.selected ? selected : n;
          if (row.last) selected++;
          if (which === "all") data.set(outputRow(output, n), row.index * width);
          else if (row.last) data.set(outputRow(output, source), row.sequence * width);
        }
      }
    }
  }

  #plan(
    mode: Mode,
    all: ReadonlySet<ValueName>,
    last: ReadonlySet<ValueName>,
    fillsCaches: boolean,
  ): readonly [string, Plan] {
    const key = JSON.stringify([mode, fillsCaches, [...all].sort(), [...last].sort()]);
    const known = this.#plans.get(key);
    if (known !== undefined) return [key, known];
    const plan = makePlan(this.graph, this.#weights, { mode, all, last, fillsCaches, exponents: this.#exponents });
    this.#plans.set(key, plan);
    return [key, plan];
  }

  /** Memory for a plan: of graphs for just these rows, otherwise for at least so many. */
  #execution(planKey: string, plan: Plan, rows: number, parts: number, graph: boolean): Execution {
    const key = `${planKey} ${parts} ${graph ? rows : "any"}`;
    const known = this.#executions.get(key);
    if (known !== undefined && known.capacity >= rows) {
      this.#executions.delete(key);
      this.#executions.set(key, known);
      return known;
    }
    known?.[Symbol.dispose]();
    this.#executions.delete(key);
    for (const [oldest, execution] of this.#executions) {
      if (this.#executions.size < keptExecutions) break;
      execution[Symbol.dispose]();
      this.#executions.delete(oldest);
    }
    const capacity = graph ? rows : Math.min(chunkRows, 2 ** Math.ceil(Math.log2(rows)));
    const made = new Execution(this.#gpu, plan, capacity, parts);
    this.#executions.set(key, made);
    return made;
  }

  #assertAlive(): void {
    if (this.#disposed !== undefined) {
      throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await Promise.allSettled(this.#pending);
    // Generations that nobody continues hold memory and caches.
    await Promise.all([...this.#generations].map((steps) => steps[Symbol.asyncDispose]()));
    for (const cache of this.#owner.caches) cache.releaseAt(cache.length);
    for (const execution of this.#executions.values()) execution[Symbol.dispose]();
    for (const cache of this.#owner.caches) cache[Symbol.dispose]();
    this.#exponents?.[Symbol.dispose]();
    this.#weights[Symbol.dispose]();
    this.#onDispose(this);
  }
}

/** Steps that choose their tokens on the card. Two take turns, so that one is under way while the other is read. */
class SampledSteps implements AsyncDisposable {
  readonly #cache: CudaKvCache;
  readonly #memory: DeviceMemory[] = [];
  readonly #executions: Execution[] = [];
  /** Executions under way, oldest first. */
  readonly #flying: Execution[] = [];
  #turn = 0;
  #disposed: Promise<void> | undefined;

  constructor(gpu: Gpu, plan: Plan, cache: CudaKvCache, sampling: Pick<Sampler, "logits" | "draw">) {
    this.#cache = cache;
    try {
      const chosen = gpu.allocate(16, "the sampler");
      this.#memory.push(chosen);
      const table = gpu.allocate(exp2Table.byteLength, "the sampler");
      this.#memory.push(table);
      using staging = gpu.allocateHost(exp2Table.byteLength, "the sampler");
      new Uint32Array(staging.buffer).set(exp2Table);
      gpu.copyToDevice(table.address, staging.address, exp2Table.byteLength);
      gpu.driver.synchronize(gpu.stream);
      const sampler = { ...sampling, chosen: chosen.address, table: table.address };
      for (let i = 0; i < 2; i++) this.#executions.push(new Execution(gpu, plan, 1, partsOf(cache.capacity), sampler));
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  /** Enqueues the step of the token at a position: the given one, or the one chosen last. */
  enqueue(position: number, token: number | undefined): void {
    const execution = this.#executions[this.#turn]!;
    this.#turn = 1 - this.#turn;
    const row: StepRow = {
      token: token ?? 0,
      blocks: this.#cache.blocks,
      position,
      angle: position,
      index: 0,
      last: true,
    };
    execution.enqueueSampled(row, { position: position + 1, take: token === undefined });
    this.#flying.push(execution);
  }

  next(): Promise<number | undefined> {
    return this.#flying.shift()!.sampled();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    try {
      for (const execution of this.#flying) await execution.sampled();
    } catch (error) {
      // What was under way on a lost card is lost with it, and the caller has been told.
      if (!(error instanceof PolyllamaError) || error.code !== "ERR_DEVICE_LOST") throw error;
    } finally {
      this.#free();
    }
  }

  #free(): void {
    for (const execution of this.#executions) execution[Symbol.dispose]();
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }
}

/** Parts of keys that a grid has: a power of two, so that few graphs serve all lengths. */
function partsOf(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(Math.ceil(capacity / partKeys)));
}
