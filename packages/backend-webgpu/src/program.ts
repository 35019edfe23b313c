// A compiled graph on the device. A run is cut into chunks: sequences that advance by one row together, all others in pieces
// of up to 128 rows, so that scratch memory is bounded whatever the step. A chunk is encoded as one compute pass, in one
// submission unless it is so long that a browser's watchdog might object; values that were asked for are copied to staging
// buffers in the same submission. Queue operations are ordered, so that the next chunk may be encoded while the last one runs.

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
  type RealArray,
  type ResolvedSequence,
  type ResolvedStep,
  type ResolvedWanted,
  RotationTable,
  type RunOptions,
  resolveStep,
  resolveWanted,
  runOptionTypes,
  type SampleRun,
  type Step,
  type Tensor,
  TurnQueue,
  type ValueName,
  type Wanted,
  wantedTensors,
} from "@polyllama/core";
import { type Gpu, type Pipeline, usage } from "./gpu.ts";
import { type BoundAttention, type CacheBinding, WebGpuKvCache } from "./kv-cache.ts";
import { attentionsOf, chunkRows } from "./memory.ts";
import {
  attentionDispatches,
  type Grid,
  type Mode,
  makePlan,
  type Parameter,
  type Place,
  type Plan,
  padded,
  type Resource,
  type Storage,
} from "./plan.ts";
import type { Profile } from "./profile.ts";
import { type SamplerMemory, sampleParameters, samplerMemory } from "./sampler.ts";
import type { DeviceWeights, WeightLayout } from "./weights.ts";

export interface ProgramParts {
  readonly gpu: Gpu;
  readonly graph: Graph;
  readonly layout: WeightLayout;
  readonly weights: DeviceWeights;
  /** Called when the program is disposed. */
  readonly onDispose: (program: WebGpuProgram) => void;
}

interface BoundDispatch {
  readonly label: string;
  readonly pipeline: Pipeline;
  readonly bindGroup: GPUBindGroup;
}

interface BoundVariant extends BoundDispatch {
  /** Most rows that it is meant for. */
  readonly rows: number;
  grid(rows: number): Grid;
}

/** The choice of a token, bound to a plan's logits. */
interface BoundSampler extends BoundDispatch {
  readonly parameters: GPUBuffer;
}

/** One call of `sample`. */
interface Generation {
  readonly memory: SamplerMemory;
  /** Where the device keeps the token from one step to the next. */
  readonly chosen: GPUBuffer;
  readonly sampling: DrawOptions;
  readonly width: number;
  readonly bound: Map<PreparedPlan, BoundSampler>;
}

interface PreparedPlan {
  readonly plan: Plan;
  readonly storages: ReadonlyMap<Storage, GPUBuffer>;
  /** Per step; undefined for attention, which is bound to caches. */
  readonly dispatches: readonly (readonly BoundVariant[] | undefined)[];
  readonly rotation: RotationTable;
  readonly rotationBuffer: GPUBuffer | undefined;
  readonly parameters: GPUBuffer;
}

/** Rows of one sequence within a chunk. */
interface ChunkSegment {
  /** Number of the sequence in its step. */
  readonly sequence: number;
  /** First row in the chunk, and in the step. */
  readonly first: number;
  readonly source: number;
  readonly rows: number;
  /** Position in its cache, and for rotation. */
  readonly start: number;
  readonly position: number;
  readonly cache: WebGpuKvCache | undefined;
  /** Whether it reaches the sequence's last row. */
  readonly ends: boolean;
}

interface Chunk {
  readonly mode: Mode;
  readonly rows: number;
  readonly segments: readonly ChunkSegment[];
}

const maxSegments = 64;
const stepWords = 4 + 4 * maxSegments;
/** Tokens under way in `sample`: what lies beyond the last one that is taken was computed in vain. */
const flyingSteps = { software: 2, hardware: 3 } as const;
/** Plans that are kept, with their bind groups and parameters: those of a model's two modes, and some of other values. */
const keptPlans = 8;
/** Submissions that may wait on the device. */
const inFlight = 2;

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
  readonly #plans = new Map<string, Promise<PreparedPlan>>();
  /** Activation buffers by size; plans share them, since runs take turns. */
  readonly #pool = new Map<number, GPUBuffer[]>();
  readonly #staging = new Map<number, GPUBuffer[]>();
  readonly #buffers = new Set<GPUBuffer>();
  readonly #rows: Readonly<Record<Mode, number>>;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #generations = new Set<Generation>();
  #sampler: Promise<SamplerMemory> | undefined;
  #step!: GPUBuffer;
  #tokens!: GPUBuffer;
  #selection!: GPUBuffer;
  readonly #turns = new TurnQueue();
  #disposed: Promise<void> | undefined;

  constructor(parts: ProgramParts) {
    this.#parts = parts;
    this.#gpu = parts.gpu;
    this.graph = parts.graph;
    this.#attentions = attentionsOf(parts.graph);
    this.#owner = { gpu: parts.gpu, attentions: this.#attentions, caches: this.#caches };
    let widest = 1;
    for (const width of parts.graph.widths.values()) widest = Math.max(widest, padded(width));
    for (const matrix of parts.layout.matrices) widest = Math.max(widest, padded(matrix.rows));
    const most = Math.max(1, Math.floor(parts.gpu.limits.maxStorageBufferBindingSize / (4 * widest)));
    this.#rows = { decode: Math.min(chunkRows.decode, most), prefill: Math.min(chunkRows.prefill, most) };
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
    const asked = wanted.map((value) => resolveWanted(this.graph, value));
    await this.#gpu.guard("scratch memory", () => {
      this.#step = this.#buffer("step", stepWords * 4, usage.uniform | usage.copyTarget);
      this.#tokens = this.#buffer("tokens", chunkRows.prefill * 4, usage.storage | usage.copyTarget);
      this.#selection = this.#buffer("selection", maxSegments * 4, usage.storage | usage.copyTarget);
    });
    const fills = this.#attentions.length > 0;
    await Promise.all((["decode", "prefill"] as const).map((mode) => this.#plan(mode, asked, fills)));
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
    const width = this.graph.widths.get(value)!;
    this.#sampler ??= samplerMemory(this.#gpu, width, (buffer) => this.#buffers.add(buffer));
    this.#sampler.catch(() => (this.#sampler = undefined));
    const memory = await this.#sampler;
    return this.#gpu.guard("a generation", () => {
      const chosen = this.#gpu.buffer("chosen token", 16, usage.storage | usage.copySource);
      const generation: Generation = { memory, chosen, sampling, width, bound: new Map() };
      this.#generations.add(generation);
      return generation;
    });
  }

  #endSampling(generation: Generation): void {
    if (!this.#generations.delete(generation)) return;
    this.#gpu.free(generation.chosen);
    for (const { parameters } of generation.bound.values()) this.#gpu.free(parameters);
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
    const checks: Promise<void>[] = [];
    let staging: GPUBuffer | undefined;
    await this.#turns.run(signal, async () => {
      this.#assertAlive();
      const running: Promise<void>[] = [];
      for (const chunk of this.#chunks(sequences, [cache])) {
        const last = chunk.segments.some(({ ends }) => ends);
        const prepared = await this.#plan(chunk.mode, last ? [asked] : [], true);
        const bindings = [await this.#bind(prepared, cache, 0)];
        const pace = async (): Promise<void> => {
          while (running.length >= inFlight) await this.#gpu.wait(running.shift()!);
          signal?.throwIfAborted();
        };
        await pace();
        const choice = last ? this.#bindSampler(generation, prepared, asked) : undefined;
        this.#write(step, prepared, chunk);
        const sampler = choice && { ...choice, chosen: generation.chosen, continues: step === undefined };
        const submitted = await this.#submit(prepared, chunk, bindings, checks, running, pace, sampler);
        if (last) staging = submitted.get(asked.value)!.staging;
      }
    });
    const mapped = staging!;
    const read = async (): Promise<number> => {
      try {
        await this.#gpu.wait(mapped.mapAsync(usage.mapRead));
        const [token] = new Uint32Array(mapped.getMappedRange(0, 16));
        await Promise.all(checks);
        return token!;
      } finally {
        this.#returnStaging(mapped);
      }
    };
    const token = read();
    token.catch(() => undefined); // whoever takes it gets the rejection
    return { token };
  }

  #bindSampler(
    { memory, chosen, sampling, width, bound }: Generation,
    prepared: PreparedPlan,
    { value }: ResolvedWanted,
  ): BoundSampler {
    const known = bound.get(prepared);
    if (known !== undefined) return known;
    const { storage, offset } = prepared.plan.outputs.get(value)!;
    const { buffer } = this.#parameters([sampleParameters(sampling, width, offset)], 0);
    const resources = [prepared.storages.get(storage)!, memory.table, memory.keys, memory.weights, chosen];
    const bindGroup = this.#bindGroup("sample", memory.pipeline, buffer, 0, resources);
    const made = { label: "sample", pipeline: memory.pipeline, bindGroup, parameters: buffer };
    bound.set(prepared, made);
    return made;
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
    const checks: Promise<void>[] = [];
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
        const running: Promise<void>[] = [];
        for (const chunk of this.#chunks(sequences, caches)) {
          const real = chunk.segments.some(({ sequence }) => sequences[sequence]!.cache !== undefined);
          const fills = real && this.#attentions.length > 0;
          const ends = chunk.segments.some((segment) => segment.ends);
          const wanted = asked.filter(({ rows: which }) => which === "all" || ends);
          const prepared = await this.#plan(chunk.mode, wanted, fills);
          const bindings = await Promise.all(
            chunk.segments.map(({ cache }, i) => cache && this.#bind(prepared, cache, i)),
          );
          const pace = async (): Promise<void> => {
            while (running.length >= inFlight) await this.#gpu.wait(running.shift()!);
            signal?.throwIfAborted();
          };
          await pace();
          this.#write(step, prepared, chunk);
          const submitted = await this.#submit(prepared, chunk, bindings, checks, running, pace);
          const result = this.#read(submitted, chunk, asked, tensors);
          result.catch(() => undefined); // awaited below, when all chunks are encoded
          results.push(result);
        }
      });
      await Promise.all(results);
      if (results.length === 0 || asked.length === 0)
        await this.#gpu.wait(this.#gpu.device.queue.onSubmittedWorkDone());
      await Promise.all(checks);
      signal?.throwIfAborted();
      return tensors;
    } finally {
      await Promise.allSettled([...results, ...checks]);
      for (const cache of temporary) cache[Symbol.dispose]();
    }
  }

  /** Cuts a step: sequences of one row together, all others in pieces. */
  *#chunks(
    sequences: readonly ResolvedSequence[],
    caches: readonly (WebGpuKvCache | undefined)[],
  ): Generator<Chunk, void, undefined> {
    for (const mode of ["prefill", "decode"] as const) {
      let segments: ChunkSegment[] = [];
      let filled = 0;
      for (const [sequence, { first, rows, start, cache: own }] of sequences.entries()) {
        if ((rows === 1) !== (mode === "decode")) continue;
        for (let done = 0; done < rows; ) {
          const count = Math.min(rows - done, this.#rows[mode] - filled);
          segments.push({
            sequence,
            first: filled,
            source: first + done,
            rows: count,
            start: (own === undefined ? 0 : start) + done,
            position: start + done,
            cache: caches[sequence],
            ends: done + count === rows,
          });
          done += count;
          filled += count;
          if (filled === this.#rows[mode] || segments.length === maxSegments) {
            yield { mode, rows: filled, segments };
            segments = [];
            filled = 0;
          }
        }
      }
      if (segments.length > 0) yield { mode, rows: filled, segments };
    }
  }

  /** Puts a chunk's inputs into the queue. */
  #write(step: Step | undefined, { plan, storages, rotation, rotationBuffer }: PreparedPlan, chunk: Chunk): void {
    const { queue } = this.#gpu.device;
    const ends = chunk.segments.filter(({ ends: last }) => last);
    const words = new Uint32Array(stepWords);
    words.set([chunk.rows, ends.length]);
    for (const [i, { first, rows, start, cache }] of chunk.segments.entries()) {
      words.set([first, rows, start, cache?.capacity ?? 0], 4 + 4 * i);
    }
    queue.writeBuffer(this.#step, 0, words);
    if (ends.length > 0) {
      queue.writeBuffer(
        this.#selection,
        0,
        Uint32Array.from(ends, ({ first, rows }) => first + rows - 1),
      );
    }
    if (rotationBuffer !== undefined) {
      const table = new Float32Array(chunk.rows * plan.rotationStride * 2);
      const positions: number[] = [];
      for (const { position, rows } of chunk.segments) for (let i = 0; i < rows; i++) positions.push(position + i);
      rotation.write(positions, table);
      queue.writeBuffer(rotationBuffer, 0, table);
    }
    if (step === undefined) return; // the token is on the device
    for (const [name, place] of plan.inputs) {
      const data = step.inputs[name]!;
      if (place === undefined) {
        const tokens = new Int32Array(chunk.rows);
        for (const { first, source, rows } of chunk.segments) tokens.set(data.subarray(source, source + rows), first);
        queue.writeBuffer(this.#tokens, 0, tokens);
      } else {
        const { stride } = place.storage;
        const { width } = place;
        const activations = new Float32Array(chunk.rows * stride);
        for (const { first, source, rows } of chunk.segments) {
          for (let i = 0; i < rows; i++) {
            activations.set(data.subarray((source + i) * width, (source + i + 1) * width), (first + i) * stride);
          }
        }
        queue.writeBuffer(storages.get(place.storage)!, 0, activations);
      }
    }
  }

  /** Encodes and submits a chunk, in more than one submission where it is long. */
  async #submit(
    { plan, dispatches, storages }: PreparedPlan,
    chunk: Chunk,
    bindings: readonly (CacheBinding | undefined)[],
    checks: Promise<void>[],
    running: Promise<void>[],
    pace: () => Promise<void>,
    sampler?: BoundSampler & { readonly chosen: GPUBuffer; readonly continues: boolean },
  ): Promise<ReadonlyMap<ValueName, { readonly place: Place; readonly staging: GPUBuffer }>> {
    const { device } = this.#gpu;
    const selected = chunk.segments.filter(({ ends }) => ends).length;
    const staged = new Map<ValueName, { readonly place: Place; readonly staging: GPUBuffer }>();
    const limit = this.#gpu.limits.submissionWork;
    let at = 0;
    while (at < plan.steps.length || at === 0) {
      const from = at;
      const { check } = this.#gpu.guarded(this.#describe(plan, from, chunk.rows), () => {
        const encoder = device.createCommandEncoder({ label: "step" });
        if (at === 0 && sampler?.continues) encoder.copyBufferToBuffer(sampler.chosen, 0, this.#tokens, 0, 4);
        const profile = this.profile;
        let pass = profile === undefined ? encoder.beginComputePass({ label: plan.mode }) : undefined;
        const dispatch = (bound: BoundDispatch, grid: Grid): void => {
          this.dispatched++;
          if (profile === undefined) {
            encode(pass!, bound, grid);
            return;
          }
          const timestampWrites = profile.next(bound.pipeline.pipeline.label);
          pass = encoder.beginComputePass({ label: bound.label, timestampWrites });
          encode(pass, bound, grid);
          pass.end();
        };
        let work = 0;
        let attention = plan.steps.slice(0, at).filter((step) => "attention" in step).length;
        for (; at < plan.steps.length && work < limit; at++) {
          const planned = plan.steps[at]!;
          if ("dispatch" in planned) {
            const rows = planned.dispatch.selected ? selected : chunk.rows;
            const variant = dispatches[at]!.find((candidate) => rows <= candidate.rows)!;
            dispatch(variant, variant.grid(rows));
            work += planned.dispatch.work * rows;
          } else {
            for (const [i, segment] of chunk.segments.entries()) {
              for (const bound of bindings[i]!.dispatches[attention]!) {
                dispatch(bound, bound.grid(segment.rows, segment.start));
              }
              work += planned.attention.q.width * segment.rows * (segment.start + segment.rows);
            }
            attention++;
          }
        }
        if (at === plan.steps.length && sampler !== undefined) dispatch(sampler, [1, 1, 1]);
        if (profile === undefined) pass!.end();
        else profile.resolve(encoder);
        if (at === plan.steps.length && sampler !== undefined) {
          const staging = this.#takeStaging(16);
          encoder.copyBufferToBuffer(sampler.chosen, 0, staging, 0, 16);
          for (const [value, place] of plan.outputs) staged.set(value, { place, staging }); // the logits alone
        } else if (at === plan.steps.length) {
          for (const [value, place] of plan.outputs) {
            const bytes = (place.storage.selected ? selected : chunk.rows) * place.storage.stride * 4;
            const staging = this.#takeStaging(bytes);
            encoder.copyBufferToBuffer(storages.get(place.storage)!, 0, staging, 0, bytes);
            staged.set(value, { place, staging });
          }
        }
        device.queue.submit([encoder.finish()]);
      });
      checks.push(check);
      const done = device.queue.onSubmittedWorkDone();
      done.catch(() => undefined); // a lost device rejects whoever waits
      running.push(done);
      if (plan.steps.length === 0) break;
      if (at < plan.steps.length) await pace();
    }
    return staged;
  }

  #describe(plan: Plan, from: number, rows: number): string {
    const step = plan.steps[from];
    const first =
      step === undefined ? "nothing" : "dispatch" in step ? step.dispatch.label : step.attention.node.output;
    return `${plan.mode} of ${rows} rows from ${first} on`;
  }

  /** Waits for a chunk's values and puts them where they belong. */
  async #read(
    staged: ReadonlyMap<ValueName, { readonly place: Place; readonly staging: GPUBuffer }>,
    chunk: Chunk,
    asked: readonly ResolvedWanted[],
    tensors: readonly Tensor[],
  ): Promise<void> {
    const entries = [...staged];
    const mapped = await Promise.allSettled(
      entries.map(([, { staging }]) => this.#gpu.wait(staging.mapAsync(usage.mapRead))),
    );
    try {
      for (const [i, [value, { place, staging }]] of entries.entries()) {
        const outcome = mapped[i]!;
        if (outcome.status === "rejected") throw outcome.reason;
        const data = new Float32Array(staging.getMappedRange());
        for (const [number, { value: name, rows: which }] of asked.entries()) {
          if (name === value) copyRows(data, place, chunk, which, tensors[number]!);
        }
      }
    } finally {
      for (const [, { staging }] of entries) this.#returnStaging(staging);
    }
  }

  #takeStaging(bytes: number): GPUBuffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(256, bytes)));
    return this.#staging.get(size)?.pop() ?? this.#gpu.buffer("staging", size, usage.mapRead | usage.copyTarget);
  }

  #returnStaging(buffer: GPUBuffer): void {
    if (this.#gpu.lost !== undefined || buffer.mapState === "pending") {
      this.#gpu.free(buffer);
      return;
    }
    buffer.unmap();
    const known = this.#staging.get(buffer.size) ?? [];
    if (known.length >= 4 || buffer.size > 64 << 20) this.#gpu.free(buffer);
    else this.#staging.set(buffer.size, [...known, buffer]);
  }

  #buffer(label: string, size: number, use: number): GPUBuffer {
    const buffer = this.#gpu.buffer(label, size, use);
    this.#buffers.add(buffer);
    return buffer;
  }

  /** The plan for values and mode, bound to buffers; made once. */
  #plan(mode: Mode, asked: readonly ResolvedWanted[], fillsCaches: boolean): Promise<PreparedPlan> {
    const computed = asked.filter(({ value }) => !this.graph.inputs.some(({ name }) => name === value));
    const all = new Set(computed.filter(({ rows }) => rows === "all" || mode === "decode").map(({ value }) => value));
    const last = new Set(computed.filter(({ value }) => !all.has(value)).map(({ value }) => value));
    const key = JSON.stringify([mode, [...all].sort(), [...last].sort(), fillsCaches]);
    const known = this.#plans.get(key);
    if (known !== undefined) {
      this.#plans.delete(key);
      this.#plans.set(key, known);
      return known;
    }
    for (const [oldest, plan] of this.#plans) {
      if (this.#plans.size < keptPlans) break;
      this.#plans.delete(oldest);
      void plan.then((prepared) => this.#dropPlan(prepared)).catch(() => undefined); // one that failed holds nothing
    }
    const { family, features } = this.#gpu;
    const made = this.#prepare(
      makePlan(this.graph, this.#parts.layout, { mode, all, last, fillsCaches, family, subgroups: features.subgroups }),
    );
    this.#plans.set(key, made);
    made.catch(() => this.#plans.delete(key));
    return made;
  }

  /** Frees what is a plan's own. Steps that use it were submitted before, as runs take turns. */
  #dropPlan(prepared: PreparedPlan): void {
    const own = [prepared.parameters, ...(prepared.rotationBuffer === undefined ? [] : [prepared.rotationBuffer])];
    for (const buffer of own) {
      if (this.#buffers.delete(buffer)) this.#gpu.free(buffer);
    }
    for (const cache of this.#caches) cache.unbind(prepared);
    for (const { bound } of this.#generations) {
      const sampler = bound.get(prepared);
      if (sampler !== undefined) this.#gpu.free(sampler.parameters);
      bound.delete(prepared);
    }
  }

  async #prepare(plan: Plan): Promise<PreparedPlan> {
    const specs = plan.steps.map((step) => ("dispatch" in step ? step.dispatch.variants.map(({ spec }) => spec) : []));
    const pipelines = await Promise.all(
      specs.map((variants) => Promise.all(variants.map((spec) => this.#gpu.pipeline(spec)))),
    );
    return this.#gpu.guard(`buffers of a ${plan.mode} plan`, () => {
      const storages = this.#assign(plan);
      const rotationBuffer =
        plan.rotationStride === 0
          ? undefined
          : this.#buffer("rotation", plan.rotationStride * 8 * this.#rows[plan.mode], usage.storage | usage.copyTarget);
      const blocks = plan.steps.map((step) => ("dispatch" in step ? step.dispatch.parameters : []));
      const { buffer, offset } = this.#parameters(blocks, plan.rotationStride);
      this.#buffers.add(buffer);
      const dispatches = plan.steps.map((step, i) => {
        if (!("dispatch" in step)) return undefined;
        const { dispatch } = step;
        const resources = dispatch.resources.map((resource) => this.#resource(resource, storages, rotationBuffer));
        return dispatch.variants.map(({ rows, grid }, number): BoundVariant => {
          const pipeline = pipelines[i]![number]!;
          const bindGroup = this.#bindGroup(dispatch.label, pipeline, buffer, offset(i), resources);
          return { label: dispatch.label, rows, grid, pipeline, bindGroup };
        });
      });
      const rotation = new RotationTable(plan.rotations.map(({ node }) => node));
      return { plan, storages, dispatches, rotation, rotationBuffer, parameters: buffer };
    });
  }

  /** Binds a plan's attentions to a cache that is the step's segment of this number; made once. */
  async #bind(prepared: PreparedPlan, cache: WebGpuKvCache, segment: number): Promise<CacheBinding> {
    const { plan, storages, rotationBuffer } = prepared;
    const known = cache.bindings.get(prepared)?.[segment];
    if (known !== undefined) return known;
    const steps = plan.steps.flatMap((step) => ("attention" in step ? [step.attention] : []));
    const listed = steps.map((step) =>
      cache.parts[step.index]!.flatMap((part) =>
        attentionDispatches(step, plan.mode, part.heads, segment, cache.format, plan).map((dispatch) => ({
          dispatch,
          part,
        })),
      ),
    );
    const flat = listed.flat();
    const pipelines = await Promise.all(flat.map(({ dispatch }) => this.#gpu.pipeline(dispatch.spec)));
    const binding = this.#gpu.guarded("bindings of a cache", () => {
      const { buffer, offset } = this.#parameters(
        flat.map(({ dispatch }) => dispatch.parameters),
        plan.rotationStride,
      );
      let at = 0;
      const dispatches = listed.map((list) =>
        list.map(({ dispatch, part }): BoundAttention => {
          const resources = dispatch.resources.map((resource) => {
            if (resource.kind === "keys") return part.keys;
            if (resource.kind === "values") return part.values;
            if (resource.kind === "partials") return cache.partials;
            return this.#resource(resource, storages, rotationBuffer);
          });
          const pipeline = pipelines[at]!;
          const bindGroup = this.#bindGroup(dispatch.label, pipeline, buffer, offset(at++), resources);
          return { label: dispatch.label, pipeline, bindGroup, grid: dispatch.grid };
        }),
      );
      return { buffer, dispatches };
    });
    const bySegment = cache.bindings.get(prepared) ?? [];
    bySegment[segment] = binding.result;
    cache.bindings.set(prepared, bySegment);
    await binding.check;
    return binding.result;
  }

  #resource(resource: Resource, storages: ReadonlyMap<Storage, GPUBuffer>, rotation: GPUBuffer | undefined): GPUBuffer {
    const { weights } = this.#parts;
    switch (resource.kind) {
      case "storage":
        return storages.get(resource.storage)!;
      case "quants":
      case "scales":
        return weights.parts.get(resource.part)![resource.kind];
      case "vector":
        return weights.vectors.get(resource.name)!;
      case "tokens":
        return this.#tokens;
      case "selection":
        return this.#selection;
      case "rotation":
        return rotation!;
      default:
        throw new Error(`${resource.kind} belong to a cache`);
    }
  }

  #bindGroup(
    label: string,
    { layout }: Pipeline,
    parameters: GPUBuffer,
    offset: number,
    resources: readonly GPUBuffer[],
  ): GPUBindGroup {
    const most = this.#gpu.limits.maxStorageBufferBindingSize;
    for (const { size, label: name } of resources) {
      if (size > most)
        throw new PolyllamaError("ERR_BACKEND", `${label}: "${name}" has ${size} bytes, a binding at most ${most}.`);
    }
    return this.#gpu.device.createBindGroup({
      label,
      layout,
      entries: [
        { binding: 0, resource: { buffer: parameters, offset, size: 64 } },
        { binding: 1, resource: { buffer: this.#step } },
        ...resources.map((buffer, i) => ({ binding: i + 2, resource: { buffer } })),
      ],
    });
  }

  /** A uniform buffer with a block for each list. */
  #parameters(
    blocks: readonly (readonly Parameter[])[],
    rotationStride: number,
  ): { readonly buffer: GPUBuffer; readonly offset: (block: number) => number } {
    const stride = Math.max(64, this.#gpu.limits.minUniformBufferOffsetAlignment);
    const data = new DataView(new ArrayBuffer(Math.max(1, blocks.length) * stride));
    for (const [i, block] of blocks.entries()) {
      for (const [j, parameter] of block.entries()) {
        const at = i * stride + j * 4;
        if (typeof parameter === "object") data.setFloat32(at, parameter.float, true);
        else data.setUint32(at, parameter === "rotationStride" ? rotationStride : parameter, true);
      }
    }
    const buffer = this.#gpu.buffer("parameters", data.byteLength, usage.uniform | usage.copyTarget);
    this.#gpu.device.queue.writeBuffer(buffer, 0, data.buffer);
    return { buffer, offset: (block) => block * stride };
  }

  /** Gives every storage of a plan a buffer; those that are never alive together may share one. */
  #assign({ lifetimes, mode }: Plan): ReadonlyMap<Storage, GPUBuffer> {
    const storages = new Map<Storage, GPUBuffer>();
    const busyUntil = new Map<GPUBuffer, number>();
    const byStart = [...lifetimes].sort(([, [a]], [, [b]]) => a - b);
    for (const [storage, [start, end]] of byStart) {
      const rows = storage.selected ? Math.min(maxSegments, this.#rows[mode]) : this.#rows[mode];
      const size = rows * storage.stride * 4;
      const pool = this.#pool.get(size) ?? [];
      this.#pool.set(size, pool);
      let buffer = pool.find((candidate) => (busyUntil.get(candidate) ?? -1) < start);
      if (buffer === undefined) {
        buffer = this.#buffer("activations", size, usage.storage | usage.copySource | usage.copyTarget);
        pool.push(buffer);
      }
      busyUntil.set(buffer, end);
      storages.set(storage, buffer);
    }
    return storages;
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
    await Promise.allSettled([...this.#pending, ...this.#plans.values()]);
    for (const generation of [...this.#generations]) this.#endSampling(generation);
    for (const cache of [...this.#caches]) {
      cache.releaseAt(cache.length); // a generation that nobody continues holds it
      cache[Symbol.dispose]();
    }
    for (const buffers of this.#staging.values()) for (const buffer of buffers) this.#gpu.free(buffer);
    for (const buffer of [...this.#buffers, ...this.#parts.weights.buffers]) this.#gpu.free(buffer);
    this.#parts.onDispose(this);
  }
}

function encode(pass: GPUComputePassEncoder, { pipeline, bindGroup }: BoundDispatch, [x, y, z]: Grid): void {
  pass.setPipeline(pipeline.pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(x, y, z);
}

/** Copies a chunk's rows of a value, without padding, to their rows of a tensor. */
function copyRows(
  data: Float32Array,
  { storage: { stride, selected }, offset, width }: Place,
  chunk: Chunk,
  which: "all" | "last",
  { data: target }: { readonly data: RealArray },
): void {
  let ended = 0;
  for (const { sequence, first, source, rows, ends } of chunk.segments) {
    const row = (from: number, to: number): void =>
      target.set(data.subarray(from * stride + offset, from * stride + offset + width), to * width);
    if (which === "all") for (let i = 0; i < rows; i++) row(first + i, source + i);
    else if (ends) row(selected ? ended++ : first + rows - 1, sequence);
  }
}
