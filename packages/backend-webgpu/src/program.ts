// A compiled graph on the device. A run is cut into chunks: sequences that advance by one row together, all others in pieces
// of up to 128 rows, so that scratch memory is bounded whatever the step. Queue operations are ordered, so that the next chunk may be
// encoded while the last one runs.

import {
  type AttentionNode,
  acquireCaches,
  advanceCaches,
  type CacheOptions,
  ContextOverflowError,
  cacheOptionTypes,
  checkNumber,
  checkOptions,
  type DrawOptions,
  type Graph,
  type KvCache,
  PolyllamaError,
  type Program,
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
  TurnQueue,
  type Wanted,
  wantedTensors,
} from "@polyllama/core";
import type { ChunkMode } from "@polyllama/planner";
import { copyRows, type PlacedChunk, placeChunks, writeChunk } from "./chunk.ts";
import { Generation } from "./generation.ts";
import type { Gpu } from "./gpu.ts";
import { WebGpuKvCache } from "./kv-cache.ts";
import { attentionsOf } from "./memory.ts";
import { chunkModes, type Mode } from "./modes.ts";
import { Plans } from "./plans.ts";
import { bindCache, type Home, type PreparedPlan } from "./prepared-plan.ts";
import type { Profile } from "./profile.ts";
import { type SamplerMemory, samplerMemory } from "./sampler.ts";
import { Scratch } from "./scratch.ts";
import { readStaged, Submissions, submitChunk } from "./submit.ts";
import type { WeightLayout } from "./weights/layout.ts";
import type { DeviceWeights } from "./weights/upload.ts";

export interface ProgramParts {
  readonly gpu: Gpu;
  readonly graph: Graph;
  readonly layout: WeightLayout;
  readonly weights: DeviceWeights;
  /** Called when the program is disposed. */
  readonly onDispose: (program: WebGpuProgram) => void;
}

/** Tokens under way in `sample`: what lies beyond the last one that is taken was computed in vain. */
const flyingSteps = { software: 2, hardware: 3 } as const;

export class WebGpuProgram implements Program {
  readonly graph: Graph;
  /** Where set, submissions are timed by kernel. */
  profile: Profile | undefined;
  /** Dispatches so far. */
  dispatched = 0;
  readonly #parts: ProgramParts;
  readonly #gpu: Gpu;
  readonly #attentions: readonly AttentionNode[];
  readonly #caches = new Set<WebGpuKvCache>();
  readonly #owner;
  readonly #modes: readonly ChunkMode<Mode>[];
  readonly #pending = new Set<Promise<unknown>>();
  readonly #generations = new Set<Generation>();
  readonly #turns = new TurnQueue();
  /** Both made by `prepare`, without which a program is only disposed. */
  #home!: Home;
  #plans!: Plans;
  #sampler: Promise<SamplerMemory> | undefined;
  #disposed: Promise<void> | undefined;

  constructor(parts: ProgramParts) {
    this.#parts = parts;
    this.#gpu = parts.gpu;
    this.graph = parts.graph;
    this.#attentions = attentionsOf(parts.graph);
    this.#owner = { gpu: parts.gpu, attentions: this.#attentions, caches: this.#caches };
    let widest = 1;
    for (const width of parts.graph.widths.values()) widest = Math.max(widest, width);
    for (const { rows } of parts.layout.groups) widest = Math.max(widest, rows);
    this.#modes = chunkModes(widest, parts.gpu.limits.maxStorageBufferBindingSize);
  }

  get gpu(): Gpu {
    return this.#gpu;
  }

  /** Whether the device has timestamps for a {@link Profile}. */
  get canProfile(): boolean {
    return this.#gpu.device.features.has("timestamp-query");
  }

  /** Compiles what runs will need for the given values. */
  async prepare(wanted: readonly Wanted[]): Promise<void> {
    const { gpu, layout, weights } = this.#parts;
    await gpu.guard("scratch memory", () => {
      this.#home = { gpu, layout, weights, scratch: new Scratch(gpu) };
    });
    const rows = { decode: 1, prefill: 1 };
    for (const mode of this.#modes) rows[mode.name] = mode.rows;
    this.#plans = new Plans(this.graph, this.#home, rows, (prepared) => this.#unbind(prepared));
    const asked = wanted.map((value) => resolveWanted(this.graph, value));
    const fills = this.#attentions.length > 0;
    await Promise.all(this.#modes.map(({ name }) => this.#plans.get(name, asked, fills)));
  }

  createCache(capacity: number, options: CacheOptions = {}): KvCache {
    this.#assertAlive();
    checkOptions(options, cacheOptionTypes, "createCache()");
    const { format = "f32" } = options;
    return new WebGpuKvCache(this.#owner, capacity, format);
  }

  async run(step: Step, wanted: readonly Wanted[], options: RunOptions = {}): Promise<readonly Tensor[]> {
    this.#assertAlive();
    checkOptions(options, runOptionTypes, "run()");
    options.signal?.throwIfAborted();
    const resolved = resolveStep(this.graph, step);
    const asked = wanted.map((entry) => resolveWanted(this.graph, entry));
    const caches = acquireCaches(resolved.sequences, (cache) => this.#isOwn(cache));
    const run = advanceCaches(caches, this.#run(step, resolved, asked, options.signal));
    this.#pending.add(run);
    try {
      return await run;
    } finally {
      this.#pending.delete(run);
    }
  }

  async *sample(
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
    const { sequences } = resolveStep(this.graph, step);
    const end = cache.length + tokens.length + count - 1;
    if (end > cache.capacity) throw new ContextOverflowError(end, cache.capacity, "Ask for fewer tokens.");
    const start = cache.length;
    const [own] = acquireCaches(sequences, (cache) => this.#isOwn(cache)).keys();
    const flying: Promise<number>[] = [];
    let taken = 0;
    let generation: Generation | undefined;
    try {
      await own!.ready;
      const asked: ResolvedWanted = { value: logits, rows: "last" };
      generation = await this.#beginSampling(asked, sampling);
      const depth = flyingSteps[this.#gpu.family];
      for (let encoded = 0; taken < count; ) {
        for (; encoded < count && flying.length < depth; encoded++) {
          const at = start + tokens.length + encoded - 1;
          const advance: readonly ResolvedSequence[] =
            encoded === 0 ? sequences : [{ first: 0, rows: 1, start: at, cache }];
          const given = encoded === 0 ? step : undefined;
          const { token } = await this.#sampleStep(generation, given, advance, own!, asked, signal);
          flying.push(token);
          this.#pending.add(token);
          void token.catch(() => undefined).then(() => this.#pending.delete(token));
        }
        const token = await flying.shift()!;
        signal?.throwIfAborted();
        this.#assertAlive();
        if (token === 0xffffffff)
          throw new PolyllamaError("ERR_BACKEND", `A logit of "${logits}" is NaN; the backend computed wrongly.`);
        taken++;
        yield token;
        this.#assertAlive();
      }
    } finally {
      await Promise.allSettled(flying);
      if (generation !== undefined) this.#endSampling(generation);
      own!.releaseAt(taken === 0 ? start : start + tokens.length + taken - 1);
    }
  }

  async #beginSampling({ value }: ResolvedWanted, sampling: DrawOptions): Promise<Generation> {
    const { scratch } = this.#home;
    this.#sampler ??= samplerMemory(this.#gpu, this.graph.widths.get(value)!, (buffer) => scratch.keep(buffer));
    this.#sampler.catch(() => (this.#sampler = undefined));
    const memory = await this.#sampler;
    return this.#gpu.guard("a generation", () => {
      const generation = new Generation(this.#gpu, scratch, memory, sampling);
      this.#generations.add(generation);
      return generation;
    });
  }

  #endSampling(generation: Generation): void {
    if (this.#generations.delete(generation)) generation.free();
  }

  /** Encodes what chooses the next token; resolves when that is submitted, with a promise of the token. */
  async #sampleStep(
    generation: Generation,
    step: Step | undefined,
    sequences: readonly ResolvedSequence[],
    cache: WebGpuKvCache,
    asked: ResolvedWanted,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly token: Promise<number> }> {
    const submissions = new Submissions(this.#gpu, signal);
    const { scratch } = this.#home;
    const staged = await this.#turns.run(signal, async () => {
      this.#assertAlive();
      let last: Awaited<ReturnType<typeof submitChunk>> = new Map();
      for (const chunk of placeChunks(sequences, [cache], this.#modes)) {
        const ends = chunk.segments.some((segment) => segment.ends);
        const prepared = await this.#plans.get(chunk.mode, ends ? [asked] : [], true);
        const bindings = await this.#bind(prepared, chunk);
        await submissions.pace();
        const logits = prepared.plan.outputs.get(asked.value);
        const choice = logits && {
          ...generation.bind(prepared, logits),
          chosen: generation.chosen,
          continues: step === undefined,
        };
        writeChunk(this.#gpu, scratch, prepared, chunk, step);
        last = await submitChunk(this.#gpu, scratch, submissions, this, { prepared, chunk, bindings, choice });
      }
      return last;
    });
    const read = async (): Promise<number> => {
      let token = 0;
      await readStaged(this.#gpu, scratch, staged, (_, __, data) => {
        token = new Uint32Array(data)[0]!; // there is as much in any staging buffer
      });
      await Promise.all(submissions.checks);
      return token;
    };
    const token = read();
    token.catch(() => undefined); // whoever takes it gets the rejection
    return { token };
  }

  #isOwn(cache: KvCache): cache is WebGpuKvCache {
    return cache instanceof WebGpuKvCache && cache.owner === this.#owner;
  }

  async #run(
    step: Step,
    resolved: ResolvedStep,
    asked: readonly ResolvedWanted[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Tensor[]> {
    const { sequences } = resolved;
    const tensors = wantedTensors(this.graph, step, resolved, asked);
    const temporary: WebGpuKvCache[] = [];
    const results: Promise<void>[] = [];
    const submissions = new Submissions(this.#gpu, signal);
    const { scratch } = this.#home;
    try {
      const caches = sequences.map((sequence) => {
        if (sequence.cache !== undefined) return sequence.cache as WebGpuKvCache; // one of these, as acquireCaches saw
        if (this.#attentions.length === 0) return undefined;
        const cache = new WebGpuKvCache(this.#owner, sequence.rows, "f32");
        temporary.push(cache);
        return cache;
      });
      for (const cache of caches) if (cache !== undefined) await cache.ready;
      await this.#turns.run(signal, async () => {
        for (const chunk of placeChunks(sequences, caches, this.#modes)) {
          const real = chunk.segments.some(({ sequence }) => sequences[sequence]!.cache !== undefined);
          const fills = real && this.#attentions.length > 0;
          const ends = chunk.segments.some((segment) => segment.ends);
          const wanted = asked.filter(({ rows: which }) => which === "all" || ends);
          const prepared = await this.#plans.get(chunk.mode, wanted, fills);
          const bindings = await this.#bind(prepared, chunk);
          await submissions.pace();
          writeChunk(this.#gpu, scratch, prepared, chunk, step);
          const staged = await submitChunk(this.#gpu, scratch, submissions, this, { prepared, chunk, bindings });
          const result = readStaged(this.#gpu, scratch, staged, (value, place, data) => {
            for (const [number, { value: name, rows: which }] of asked.entries()) {
              if (name === value) copyRows(new Float32Array(data), place, chunk, which, tensors[number]!);
            }
          });
          result.catch(() => undefined); // awaited below, when all chunks are encoded
          results.push(result);
        }
      });
      await Promise.all(results);
      if (results.length === 0 || asked.length === 0)
        await this.#gpu.wait(this.#gpu.device.queue.onSubmittedWorkDone());
      await Promise.all(submissions.checks);
      signal?.throwIfAborted();
      return tensors;
    } finally {
      await Promise.allSettled([...results, ...submissions.checks]);
      for (const cache of temporary) cache[Symbol.dispose]();
    }
  }

  #bind(prepared: PreparedPlan, { segments }: PlacedChunk) {
    return Promise.all(segments.map(({ cache }, i) => cache && bindCache(this.#home, prepared, cache, i)));
  }

  /** Frees what was bound to a plan that is not kept. */
  #unbind(prepared: PreparedPlan): void {
    for (const cache of this.#caches) cache.unbind(prepared);
    for (const generation of this.#generations) generation.unbind(prepared);
  }

  #assertAlive(): void {
    if (this.#disposed !== undefined)
      throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await Promise.allSettled([...this.#pending, this.#plans?.settled()]);
    for (const generation of [...this.#generations]) this.#endSampling(generation);
    for (const cache of [...this.#caches]) {
      cache.releaseAt(cache.length); // a generation that nobody continues holds it
      cache[Symbol.dispose]();
    }
    this.#home?.scratch.free();
    for (const buffer of this.#parts.weights.buffers) this.#gpu.free(buffer);
    this.#parts.onDispose(this);
  }
}
