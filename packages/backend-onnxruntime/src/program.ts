// A compiled graph. It owns the packed weights, a session per set of values asked for, and the caches it gave out. A step
// is run sequence by sequence, and a sequence in chunks of rows, so that memory for attention scores is bounded; runs of
// one program take turns, as they share the same threads. What a session computes for given bindings is in lower.ts; here
// the bindings are made: memory for every input and output of a run.

import {
  acquireCaches,
  advanceCaches,
  type CacheOptions,
  cacheOptionTypes,
  checkOptions,
  type Graph,
  type KvCache,
  orAborted,
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
  type Step,
  type Tensor,
  TurnQueue,
  type ValueName,
  type Wanted,
  type WeightSource,
  wantedTensors,
} from "@polyllama/core";
import type { Binding } from "./binding.ts";
import type { PackedWeights } from "./cache/packed-weights.ts";
import { EmbeddingTable, embeddings } from "./embedding.ts";
import { OnnxRuntimeKvCache } from "./kv-cache.ts";
import { type Lowering, lower } from "./lower.ts";
import { attentions, hostValues } from "./needs.ts";
import type { Handle, Ort } from "./ort/api.ts";
import { Session } from "./ort/session.ts";
import type { Layout } from "./pack/layout.ts";
import { type RotationTable, RotationTables, rotationKey } from "./rotation-tables.ts";

export interface ProgramParts {
  readonly ort: Ort;
  readonly graph: Graph;
  readonly source: WeightSource;
  readonly layout: Layout;
  readonly packed: PackedWeights;
  readonly threads: number;
  readonly accuracyLevel: 1 | 4;
  /** Called when the program is disposed. */
  readonly onDispose: (program: OnnxRuntimeProgram) => void;
}

/** A session for one set of values. */
interface Variant {
  readonly lowering: Lowering;
  /** Undefined where there is nothing to compute. */
  readonly session: Session | undefined;
}

interface VariantSlot {
  readonly values: ReadonlySet<ValueName>;
  readonly fillsCaches: boolean;
  readonly loading: Promise<Variant>;
  /** Runs that hold it. */
  users: number;
  /** Grows with every use. */
  used: number;
}

/** Sessions kept besides the first; each holds its weights in memory. */
const keptVariants = 2;
/** Rows of a sequence that are computed at once, at most. */
export const chunkRows = 256;
/** Bytes that the scores of one attention may take. */
export const scoreBytes: number = 64 << 20;

export class OnnxRuntimeProgram implements Program {
  readonly graph: Graph;
  readonly #parts: ProgramParts;
  readonly #tables = new RotationTables();
  readonly #embeddings: ReadonlyMap<ValueName, { readonly tokens: ValueName; readonly table: EmbeddingTable }>;
  readonly #caches = new Set<OnnxRuntimeKvCache>();
  readonly #owner;
  #variants: readonly VariantSlot[] = [];
  #uses = 0;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #turns = new TurnQueue();
  #disposed: Promise<void> | undefined;

  constructor(parts: ProgramParts) {
    this.#parts = parts;
    this.graph = parts.graph;
    this.#owner = { ort: parts.ort, attentions: attentions(parts.graph), caches: this.#caches };
    this.#embeddings = new Map(
      [...embeddings(parts.graph)].map(([output, { tokens, table }]) => {
        return [output, { tokens, table: new EmbeddingTable(parts.source, parts.source.weights.get(table)!) }];
      }),
    );
  }

  /** Loads the session for the values that runs will ask for. */
  async prepare(wanted: readonly Wanted[], signal: AbortSignal | undefined): Promise<void> {
    const values = new Set(wanted.map((value) => resolveWanted(this.graph, value).value));
    const { release } = await this.#variant(values, this.#owner.attentions.length > 0, signal);
    release();
  }

  createCache(capacity: number, options: CacheOptions = {}): KvCache {
    this.#assertAlive();
    checkOptions(options, cacheOptionTypes, "createCache()");
    const { format = "f32" } = options;
    if (format !== "f32") {
      throw new PolyllamaError(
        "ERR_UNSUPPORTED",
        `attention on the CPU keeps keys and values as f32, not ${format}: ONNX Runtime's CPU kernel would round queries ` +
          "as well. Leave `format` out, or use another backend.",
      );
    }
    return new OnnxRuntimeKvCache(this.#owner, capacity);
  }

  async run(step: Step, wanted: readonly Wanted[], options: RunOptions = {}): Promise<readonly Tensor[]> {
    this.#assertAlive();
    checkOptions(options, runOptionTypes, "run()");
    options.signal?.throwIfAborted();
    const resolved = resolveStep(this.graph, step);
    const asked = wanted.map((entry) => resolveWanted(this.graph, entry));
    const caches = acquireCaches(resolved.sequences, (cache) => this.#isOwn(cache));
    const run = advanceCaches(caches, this.#runAll(step, resolved, asked, options.signal));
    this.#pending.add(run);
    try {
      return await run;
    } finally {
      this.#pending.delete(run);
    }
  }

  #isOwn(cache: KvCache): cache is OnnxRuntimeKvCache {
    return cache instanceof OnnxRuntimeKvCache && cache.owner === this.#owner;
  }

  async #runAll(
    step: Step,
    resolved: ResolvedStep,
    asked: readonly ResolvedWanted[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Tensor[]> {
    const values = new Set(asked.map(({ value }) => value));
    const fillsCaches =
      resolved.sequences.some(({ cache }) => cache !== undefined) && this.#owner.attentions.length > 0;
    const { variant, release } = await this.#variant(values, fillsCaches, signal);
    try {
      return await this.#runSequences(variant, step, resolved, asked, signal);
    } finally {
      release();
    }
  }

  async #runSequences(
    variant: Variant,
    step: Step,
    resolved: ResolvedStep,
    asked: readonly ResolvedWanted[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Tensor[]> {
    const inputs = this.#realInputs(step);
    const tensors = wantedTensors(this.graph, step, resolved, asked);
    for (const [index, sequence] of resolved.sequences.entries()) {
      await this.#runSequence(variant, step, inputs, sequence, index, asked, tensors, signal);
    }
    return tensors;
  }

  /** Activation inputs as f32. */
  #realInputs(step: Step): ReadonlyMap<ValueName, Float32Array> {
    const inputs = new Map<ValueName, Float32Array>();
    for (const { name, kind } of this.graph.inputs) {
      if (kind === "tokens") continue;
      const data = step.inputs[name] as RealArray; // resolveStep refuses tokens here
      inputs.set(name, data instanceof Float32Array ? data : Float32Array.from(data));
    }
    return inputs;
  }

  async #runSequence(
    variant: Variant,
    step: Step,
    inputs: ReadonlyMap<ValueName, Float32Array>,
    sequence: ResolvedSequence,
    index: number,
    asked: readonly ResolvedWanted[],
    tensors: readonly Tensor[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { attentions: used } = variant.lowering;
    const own = sequence.cache as OnnxRuntimeKvCache | undefined; // one of these, as acquireCaches saw
    const temporary =
      own === undefined && used.length > 0 ? new OnnxRuntimeKvCache(this.#owner, sequence.rows) : undefined;
    const cache = own ?? temporary;
    temporary?.acquire("a run");
    try {
      // Where there is no cache of the caller's, positions count from the first row and the tables start there.
      const origin = own === undefined ? sequence.start : 0;
      const length = sequence.start - origin;
      const tables = await this.#rotationTables(variant, origin, length + sequence.rows);
      const most = this.#chunk(cache);
      for (let done = 0; done < sequence.rows; done += most) {
        const rows = Math.min(most, sequence.rows - done);
        const chunk: Chunk = { first: sequence.first + done, rows, length: length + done, sequence: index };
        await this.#turns.run(signal, () =>
          this.#runChunk(variant, step, inputs, chunk, cache, tables, asked, tensors, signal),
        );
      }
    } finally {
      temporary?.releaseAt(0);
      temporary?.[Symbol.dispose]();
    }
  }

  /** Rows computed at once: fewer where a long cache makes the scores large. */
  #chunk(cache: OnnxRuntimeKvCache | undefined): number {
    let heads = 0;
    for (const attention of this.#owner.attentions) heads = Math.max(heads, attention.heads);
    if (cache === undefined) return chunkRows;
    return Math.max(16, Math.min(chunkRows, Math.floor(scoreBytes / (heads * cache.capacity * 4))));
  }

  async #rotationTables(variant: Variant, origin: number, rows: number): Promise<ReadonlyMap<string, RotationTable>> {
    const tables = new Map<string, RotationTable>();
    // Cosines and sines of one rotation come from one table: another run may let it grow meanwhile.
    const byRotation = new Map<string, RotationTable>();
    for (const { name, binding } of variant.lowering.inputs) {
      if (binding.kind !== "cos" && binding.kind !== "sin") continue;
      const key = rotationKey(binding.rotation);
      const table = byRotation.get(key) ?? (await this.#tables.rows(binding.rotation, origin, rows));
      byRotation.set(key, table);
      tables.set(name, table);
    }
    return tables;
  }

  async #runChunk(
    variant: Variant,
    step: Step,
    inputs: ReadonlyMap<ValueName, Float32Array>,
    chunk: Chunk,
    cache: OnnxRuntimeKvCache | undefined,
    tables: ReadonlyMap<string, RotationTable>,
    asked: readonly ResolvedWanted[],
    tensors: readonly Tensor[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { ort } = this.#parts;
    const { lowering, session } = variant;
    const { first, rows, length } = chunk;
    const selectsAll = asked.some(({ value, rows: which }) => {
      return which === "all" && lowering.outputs.get(value)?.selected === true;
    });
    const selection = selectsAll
      ? BigInt64Array.from({ length: rows }, (_, i) => BigInt(i))
      : BigInt64Array.of(BigInt(rows - 1));

    const host = await this.#hostRows(variant, step, inputs, chunk, asked, signal);
    const made: Handle[] = [];
    const keep: unknown[] = [];
    const over = (data: ArrayBufferView, shape: readonly number[], type: "f32" | "i32" | "i64"): Handle => {
      const tensor = ort.tensorOver(data, data.byteLength, shape, type);
      made.push(tensor);
      keep.push(data);
      return tensor;
    };
    const bind = (name: string, binding: Binding): Handle => {
      switch (binding.kind) {
        case "activations":
          return over(host.get(binding.value)!, [1, rows, binding.width], "f32");
        case "selection":
          return over(selection, [selection.length], "i64");
        case "positions":
          return over(
            BigInt64Array.from({ length: rows }, (_, i) => BigInt(length + i)),
            [1, rows],
            "i64",
          );
        case "lastPosition":
          return over(Int32Array.of(length + rows - 1), [1], "i32");
        case "totalLength":
          return over(Int32Array.of(length + rows), [1], "i32");
        case "cos":
        case "sin": {
          const table = tables.get(name)!;
          return over(table[binding.kind], [table.rows, binding.rotation.headDim / 2], "f32");
        }
        case "keys":
          return cache!.tensors(binding.attention)[0];
        case "values":
          return cache!.tensors(binding.attention)[1];
      }
    };

    try {
      const bound = lowering.inputs.map(({ name, binding }) => bind(name, binding));
      const outputs = new Map<string, Handle>();
      const results = new Map<ValueName, Float32Array>();
      for (const [entry, { value, rows: which }] of asked.entries()) {
        const output = lowering.outputs.get(value);
        if (output === undefined || results.has(value)) continue;
        const width = this.graph.widths.get(value)!;
        const count = output.selected && !selectsAll ? 1 : rows;
        const row = which === "all" ? first : chunk.sequence;
        const direct = which === "all" || count === 1;
        const data = direct
          ? (tensors[entry]!.data as Float32Array).subarray(row * width, (row + count) * width)
          : new Float32Array(count * width);
        outputs.set(output.name, over(data, [1, count, width], "f32"));
        results.set(value, data);
      }
      for (const { name, binding } of lowering.caches) outputs.set(name, bind(name, binding));
      if (session !== undefined && outputs.size > 0) await session.run(bound, outputs, keep, signal);

      for (const [entry, { value, rows: which }] of asked.entries()) {
        const width = this.graph.widths.get(value)!;
        const data = results.get(value) ?? host.get(value)!;
        const target = tensors[entry]!.data;
        if (which === "all") {
          if (data.buffer !== target.buffer) target.set(data, first * width);
        } else if (data.buffer !== target.buffer) {
          target.set(data.subarray(data.length - width), chunk.sequence * width);
        }
      }
    } finally {
      for (const tensor of made) ort.releaseValue(tensor);
    }
  }

  /** The chunk's rows of every value that is the host's and needed, tokens as numbers. */
  async #hostRows(
    variant: Variant,
    step: Step,
    inputs: ReadonlyMap<ValueName, Float32Array>,
    { first, rows }: Chunk,
    asked: readonly ResolvedWanted[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<ValueName, Float32Array>> {
    const host = hostValues(this.graph);
    const needed = new Set<ValueName>();
    for (const { binding } of variant.lowering.inputs) if (binding.kind === "activations") needed.add(binding.value);
    for (const { value } of asked) if (host.has(value)) needed.add(value);
    const values = new Map<ValueName, Float32Array>();
    for (const value of needed) {
      const width = this.graph.widths.get(value)!;
      const embedding = this.#embeddings.get(value);
      const input = inputs.get(value);
      if (embedding !== undefined) {
        const tokens = step.inputs[embedding.tokens] as Int32Array; // resolveStep refuses reals here
        const output = new Float32Array(rows * width);
        await embedding.table.lookUp(tokens.subarray(first, first + rows), output, signal);
        values.set(value, output);
      } else if (input !== undefined) {
        values.set(value, input.subarray(first * width, (first + rows) * width));
      } else {
        values.set(value, Float32Array.from(step.inputs[value]!.subarray(first, first + rows)));
      }
    }
    return values;
  }

  /** A session that computes the given values, one there is or another one, held until `release` is called. */
  async #variant(
    values: ReadonlySet<ValueName>,
    fillsCaches: boolean,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly variant: Variant; readonly release: () => void }> {
    const serves = (slot: VariantSlot): boolean =>
      (slot.fillsCaches || !fillsCaches) && [...values].every((value) => slot.values.has(value));
    let [slot] = this.#variants.filter(serves).sort((a, b) => a.values.size - b.values.size);
    if (slot === undefined) {
      const made = { values, fillsCaches, users: 0, used: 0, loading: this.#load(values, fillsCaches) };
      this.#variants = [...this.#variants, made];
      // What cannot be loaded is tried anew by whoever asks next, also where nobody waited for it any more.
      made.loading.catch(() => {
        this.#variants = this.#variants.filter((other) => other !== made);
      });
      slot = made;
    }
    const held = slot;
    held.users++;
    held.used = ++this.#uses;
    const release = (): void => {
      held.users--;
      this.#dropVariants();
    };
    try {
      return { variant: await orAborted(held.loading, signal), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Frees sessions that have not been used for longest, never the first, which compiling asked for. */
  #dropVariants(): void {
    const [, ...others] = this.#variants;
    const idle = others.filter(({ users }) => users === 0).sort((a, b) => a.used - b.used);
    for (const slot of idle.slice(0, Math.max(0, others.length - keptVariants))) {
      this.#variants = this.#variants.filter((other) => other !== slot);
      const freeing = slot.loading.then(({ session }) => session?.[Symbol.asyncDispose]()).catch(() => undefined);
      this.#pending.add(freeing);
      void freeing.then(() => this.#pending.delete(freeing));
    }
  }

  async #load(values: ReadonlySet<ValueName>, fillsCaches: boolean): Promise<Variant> {
    const { ort, layout, packed, threads, accuracyLevel } = this.#parts;
    const lowering = lower(this.graph, layout, { wanted: values, fillsCaches, accuracyLevel });
    if (lowering.empty) return { lowering, session: undefined };
    const inputs = lowering.inputs.map(({ name }) => name);
    const outputs = [...lowering.outputs.values(), ...lowering.caches].map(({ name }) => name);
    const session = await Session.load(ort, lowering.model, inputs, outputs, {
      threads,
      weightsFolder: packed.folder,
    });
    return { lowering, session };
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
    await Promise.allSettled(this.#pending);
    const variants = await Promise.allSettled(this.#variants.map(({ loading }) => loading));
    for (const variant of variants) {
      if (variant.status === "fulfilled") await variant.value.session?.[Symbol.asyncDispose]();
    }
    for (const cache of [...this.#caches]) cache[Symbol.dispose]();
    await this.#parts.packed.release();
    this.#parts.onDispose(this);
  }
}

/** Rows of a step that are computed together. */
interface Chunk {
  /** First row within the step. */
  readonly first: number;
  readonly rows: number;
  /** Positions before it in the cache. */
  readonly length: number;
  /** Number of the sequence in its step. */
  readonly sequence: number;
}
