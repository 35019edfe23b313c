// A device behind the first contract, for callers that still speak it: one program per load, one pool per cache.

import {
  acquireCaches,
  advanceCaches,
  type CacheFormat,
  type CacheOptions,
  type CompileOptions,
  ContextOverflowError,
  cacheOptionTypes,
  checkNumber,
  checkOptions,
  compileOptionTypes,
  type Graph,
  type KvCache,
  PolyllamaError,
  type Program,
  type ResolvedSequence,
  type RunOptions,
  resolveStep,
  resolveWanted,
  runOptionTypes,
  type SampleRun,
  SequenceCache,
  type Step,
  showBriefly,
  type Tensor,
  type Wanted,
  type WeightSource,
} from "@polyllama/core";
import {
  type CachePool,
  cacheSpec,
  type Device,
  type DeviceBackend,
  type SequenceCache as DeviceCache,
  type Program as DeviceProgram,
  type HostArray,
  type Output,
  type OutputValue,
  type Submission,
} from "@polyllama/core/device";

/** What a backend of the first contract adds to its device. */
export interface BackendOptions {
  /** Bytes that the device has left, where that is limited and known. */
  readonly availableMemory?: () => number | undefined;
  /** Called with each program, before anybody uses it. */
  readonly onCompile?: (program: DeviceProgram) => void;
}

/** A backend of the first contract. Disposing it disposes the device. */
export function asBackend<Own extends Device>(
  device: Own,
  options: BackendOptions = {},
): DeviceBackend & { readonly device: Own } {
  const { availableMemory, onCompile } = options;
  const backend: DeviceBackend & { readonly device: Own } = {
    device,
    name: device.name,
    roundings: device.roundings,
    describe: () => device.describe(),
    estimateMemory: (graph, weights, capacity) => device.estimateMemory(graph, weights, capacity),
    async compile(graph: Graph, source: WeightSource, compileOptions: CompileOptions = {}): Promise<Program> {
      checkOptions(compileOptions, compileOptionTypes, "compile()");
      const { wanted = graph.outputs, onProgress, signal } = compileOptions;
      const outputs = wanted.map((each) => ({ ...resolveWanted(graph, each), to: "host" as const }));
      const given = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
      using parameters = await device.loadParameters([graph], source, given);
      const program = await device.compile(graph, parameters, { outputs, ...given }); // which holds the parameters
      onCompile?.(program);
      return new BackendProgram(device, program);
    },
    [Symbol.asyncDispose]: async () => {
      await device[Symbol.asyncDispose]();
    },
  };
  if (availableMemory !== undefined) {
    Object.defineProperty(backend, "availableMemory", { get: availableMemory, enumerable: true });
  }
  return showBriefly(backend, "Backend", ({ name }) => ({ name }), true);
}

/** A device's program behind the first contract. */
export class BackendProgram implements Program {
  readonly graph: Graph;
  readonly sample: Program["sample"];
  readonly #device: Device;
  readonly #program: DeviceProgram;
  readonly #stepsAhead: number;
  readonly #caches = new Set<BackendCache>();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #owner = {};
  #disposed: Promise<void> | undefined;

  constructor(device: Device, program: DeviceProgram) {
    this.graph = program.graph;
    this.#device = device;
    this.#program = program;
    this.#stepsAhead = device.features.stepsAhead;
    this.sample = device.features.outputs.includes("token") ? (run, options) => this.#sample(run, options) : undefined;
  }

  createCache(capacity: number, options: CacheOptions = {}): KvCache {
    this.#assertAlive();
    checkOptions(options, cacheOptionTypes, "createCache()");
    return this.#cache(capacity, options.format);
  }

  async run(step: Step, wanted: readonly Wanted[], options: RunOptions = {}): Promise<readonly Tensor[]> {
    checkOptions(options, runOptionTypes, "run()");
    const asked = wanted.map((each) => ({ ...resolveWanted(this.graph, each), to: "host" as const }));
    const values = await this.submit(step, asked, options.signal);
    return values.map((value) => {
      if (value.to === "host") return value.tensor;
      throw new PolyllamaError("ERR_BACKEND", `A value for the host went to "${value.to}".`);
    });
  }

  /** Runs a step of the first contract with outputs of the second. */
  async submit(step: Step, outputs: readonly Output[], signal?: AbortSignal): Promise<readonly OutputValue[]> {
    this.#assertAlive();
    signal?.throwIfAborted();
    const { sequences } = resolveStep(this.graph, step);
    const caches = acquireCaches(sequences, (cache) => this.#isOwn(cache));
    const given = { inputs: step.inputs, sequences: sequences.map(submitted), outputs };
    return this.#track(advanceCaches(caches, (async () => this.#program.submit(given, signal).result)()));
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
    const { sequences } = resolveStep(this.graph, {
      inputs: { [input.name]: tokens },
      batch: [{ rows: tokens.length, cache }],
    });
    const start = cache.length;
    const end = start + tokens.length + count - 1;
    if (end > cache.capacity) throw new ContextOverflowError(end, cache.capacity, "Ask for fewer tokens.");
    const [own] = acquireCaches(sequences, (cache) => this.#isOwn(cache)).keys();
    const flying: Submission[] = [];
    const submit = (from: HostArray | NonNullable<Submission["tokens"]>, rows: number): void => {
      const step = {
        inputs: { [input.name]: from },
        sequences: [{ rows, cache: own!.sequence }], // the sequence has a cache
        outputs: [{ value: logits, rows: "last", to: "token", draw: [sampling] }] as const,
      };
      const submission = this.#program.submit(step, signal);
      void this.#track(submission.result).catch(() => undefined); // whoever takes the token gets the rejection
      flying.push(submission);
    };
    let taken = 0;
    let last: Submission["tokens"];
    try {
      for (let enqueued = 0; taken < count; ) {
        for (; enqueued < count && flying.length < this.#stepsAhead; enqueued++) {
          const given = last;
          if (given === undefined) submit(tokens, tokens.length);
          else submit(given, 1);
          given?.[Symbol.dispose]();
          last = flying.at(-1)!.tokens; // submitted just now
        }
        const [value] = await flying.shift()!.result; // at least one is under way
        signal?.throwIfAborted();
        this.#assertAlive();
        if (value?.to !== "token") throw new PolyllamaError("ERR_BACKEND", "A drawn token did not come.");
        taken++;
        yield value.tokens[0]!; // one row was drawn from
        this.#assertAlive();
      }
    } finally {
      last?.[Symbol.dispose]();
      await Promise.allSettled(flying.map(({ result }) => result));
      own!.releaseAt(taken === 0 ? start : start + tokens.length + taken - 1); // acquired above
    }
  }

  #cache(capacity: number, format: CacheFormat | undefined): BackendCache {
    const make = (): CachePool =>
      this.#device.cachePool(cacheSpec(this.graph), { rows: capacity, ...(format && { format }) });
    const cache = new BackendCache(capacity, make, {
      owner: this.#owner,
      empty: () => this.#cache(capacity, format),
      freed: (cache) => this.#caches.delete(cache),
    });
    this.#caches.add(cache);
    return cache;
  }

  #isOwn(cache: KvCache): cache is BackendCache {
    return cache instanceof BackendCache && cache.owner === this.#owner;
  }

  async #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#pending.add(work);
    try {
      return await work;
    } finally {
      this.#pending.delete(work);
    }
  }

  #assertAlive(): void {
    if (this.#disposed === undefined) return;
    throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
  }

  /** Waits for the steps under way and frees the program and its caches. A second call waits for the first. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await Promise.allSettled(this.#pending);
    await this.#program[Symbol.asyncDispose]();
    for (const cache of this.#caches) {
      cache.releaseAt(cache.length); // a generation that nobody continues holds it
      cache[Symbol.dispose]();
    }
  }
}

/** What a cache needs of its program. */
interface CacheHome {
  readonly owner: object;
  readonly empty: () => BackendCache;
  readonly freed: (cache: BackendCache) => void;
}

class BackendCache extends SequenceCache {
  readonly owner: object;
  readonly bytes: number;
  readonly #home: CacheHome;
  readonly #pool: CachePool;
  #sequence: DeviceCache;

  constructor(capacity: number, makePool: () => CachePool, home: CacheHome) {
    super(capacity);
    this.owner = home.owner;
    this.#home = home;
    this.#pool = makePool();
    this.bytes = this.#pool.bytes;
    this.#sequence = this.#pool.open();
  }

  get sequence(): DeviceCache {
    return this.#sequence;
  }

  override truncate(length: number): void {
    super.truncate(length);
    this.#sequence.truncate(length);
  }

  override releaseAt(length: number): void {
    if (this.#sequence.length > length) this.#sequence.truncate(length);
    super.releaseAt(length);
  }

  protected override empty(): BackendCache {
    return this.#home.empty();
  }

  protected override async copyTo(copy: BackendCache): Promise<void> {
    const copied = await copy.#pool.import(await this.#sequence.export());
    copy.#sequence[Symbol.dispose]();
    copy.#sequence = copied;
  }

  protected override free(): void {
    this.#pool[Symbol.dispose]();
    this.#home.freed(this);
  }
}

/** A sequence of the first contract in the words of the second. */
function submitted({ rows, start, cache }: ResolvedSequence) {
  // acquireCaches has seen that it is one of these
  return cache === undefined ? { rows, position: start } : { rows, cache: (cache as BackendCache).sequence };
}
