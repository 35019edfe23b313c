// How fast a backend runs models of given sizes: loading, prompts, and decoding of one and of many sequences, with the bytes or
// operations per second that this is. Weights are synthetic. Whatever could not be measured stays in the result, with the reason.

import {
  type Backend,
  type CacheFormat,
  columnCount,
  createSampler,
  formatBytes,
  type KvCache,
  type LlamaConfig,
  llamaGraph,
  mostProbable,
  PolyllamaError,
  type Program,
  rowCount,
  type WeightSource,
} from "@polyllama/core";
import { type Checkpoint, openCheckpoint } from "polyllama";
import { median } from "../format.ts";

export interface BenchTask {
  /** For people: "7B f16". */
  readonly label: string;
  /** Location of a checkpoint, `synthetic://...`. */
  readonly model: string;
  /** Lengths of prompts to read. */
  readonly prefill: readonly number[];
  /** Filled positions at which one sequence is continued. */
  readonly contexts: readonly number[];
  /** Numbers of sequences that are continued together, and the positions that each has filled. */
  readonly batches: { readonly sizes: readonly number[]; readonly context: number };
}

export interface BenchOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (label: string, what: string) => void;
  /** What there is, after each measurement. */
  readonly onResult?: (result: BenchResult) => Promise<void>;
  /** Bytes that are free on the device. */
  readonly free?: number;
  /** Default f16. */
  readonly cache?: CacheFormat;
  /** Tokens per sequence and measurement; default 64. */
  readonly tokens?: number;
}

export interface Measurement {
  /** "load", "prefill 512", "decode at 128", "batch of 8 at 128". */
  readonly what: string;
  readonly unit: "s" | "tokens/s";
  readonly value?: number;
  /** What that is per second: bytes of weights and cache read when decoding, floating point operations when reading a prompt. */
  readonly rate?: number;
  /** Why there is no value. */
  readonly notRun?: string;
  /** What went wrong, where something did. */
  readonly failed?: string;
}

export interface BenchResult {
  readonly label: string;
  readonly model: string;
  /** Bytes of the weights as stored. */
  readonly weights: number;
  readonly measurements: readonly Measurement[];
}

const chunk = 512;
const warmUp = 4;

/** What `bench:cuda` measures. */
export const cudaTasks: readonly BenchTask[] = [
  task("7B f16", "llama-2-7b", "f16", [1, 8, 32, 128]),
  task("7B q8_0", "llama-2-7b", "q8_0", []),
  task("7B q4_0", "llama-2-7b", "q4_0", [1, 8, 32, 128]),
  task("7B q4_k", "llama-2-7b", "q4_k", []),
  task("13B f16", "llama-2-13b", "f16", []),
  task("13B q4_0", "llama-2-13b", "q4_0", []),
  task("70B q4_0", "llama-2-70b", "q4_0", []),
];

function task(label: string, preset: string, format: string, sizes: readonly number[]): BenchTask {
  return { ...modelTask(`synthetic://${preset}?seed=1&format=${format}`), label, batches: { sizes, context: 128 } };
}

/** The same measurements of a model of one's own. */
export function modelTask(model: string): BenchTask {
  return {
    label: model,
    model,
    prefill: [512, 2048],
    contexts: [128, 4000],
    batches: { sizes: [1, 8, 32, 128], context: 128 },
  };
}

interface Planned extends Pick<Measurement, "what" | "unit"> {
  /** Positions that it fills. */
  readonly positions: number;
}

/** A task's measurements, in their order. */
function plan({ prefill, contexts, batches }: BenchTask, tokens = 0): readonly Planned[] {
  const behind = (n: number): number => n + tokens + warmUp;
  const unit = "tokens/s";
  return [
    { what: "load", unit: "s", positions: 0 },
    ...prefill.map((n) => ({ what: `prefill ${n}`, unit, positions: n }) as const),
    ...contexts.map((n) => ({ what: `decode at ${n}`, unit, positions: behind(n) }) as const),
    ...batches.sizes.map(
      (n) => ({ what: `batch of ${n} at ${batches.context}`, unit, positions: behind(batches.context) }) as const,
    ),
  ];
}

/** A task's result where nothing could be run. */
export async function skipTask(task: BenchTask, notRun: string): Promise<BenchResult> {
  await using checkpoint = await openCheckpoint(task.model);
  return { ...facts(task, checkpoint), measurements: plan(task).map(({ what, unit }) => ({ what, unit, notRun })) };
}

export async function runTask(backend: Backend, task: BenchTask, options: BenchOptions): Promise<BenchResult> {
  const { signal, onProgress, onResult, free, cache: format = "f16", tokens = 64 } = options;
  await using checkpoint = await openCheckpoint(task.model);
  const { config } = checkpoint;
  const graph = llamaGraph(config);
  const known = facts(task, checkpoint);
  const planned = [...plan(task, tokens)];
  const { contextLength } = config;
  const positions = Math.max(...planned.map((one) => (one.positions > contextLength ? 1 : one.positions)));
  const estimate = backend.estimateMemory(graph, checkpoint.weights, 1);
  const needed = estimate.weights + estimate.scratch + positions * cacheBytes(config, format);
  if (free !== undefined && needed > free) {
    const [takes, has] = [needed, free].map((bytes) => (bytes / 2 ** 30).toFixed(1));
    return skipTask(task, `takes ${takes} GiB, and ${has} GiB are free`);
  }

  const measurements: Measurement[] = [];
  let program: Program | undefined;
  /** Takes the next measurement of the plan; a failure is part of the result. */
  const measure = async (action: () => Promise<Pick<Measurement, "value" | "rate">>): Promise<void> => {
    const { what, unit, positions: filled } = planned.shift()!;
    const name = { what, unit };
    onProgress?.(task.label, what);
    try {
      signal.throwIfAborted();
      measurements.push(
        filled > contextLength
          ? { ...name, notRun: `takes ${filled} positions, and the context has ${contextLength}` }
          : { ...name, ...(await action()) },
      );
    } catch (error) {
      measurements.push({ ...name, ...whyNot(error, signal) });
    }
    await onResult?.({ ...known, measurements: [...measurements] });
  };
  try {
    await measure(async () => {
      const started = performance.now();
      program = await backend.compile(graph, tiled(checkpoint), { signal });
      return { value: (performance.now() - started) / 1000 };
    });
    const loaded = program;
    if (loaded === undefined) {
      const rest = planned.map(({ what, unit }) => ({ what, unit, notRun: "the model was not loaded" }));
      return { ...known, measurements: [...measurements, ...rest] };
    }
    for (const n of task.prefill) {
      await measure(async () => {
        using cache = loaded.createCache(n, { format });
        const times: number[] = [];
        for (let round = 0; round < 4; round++) {
          cache.truncate(0);
          const started = performance.now();
          await read(loaded, cache, n, config, signal);
          if (round > 0) times.push((performance.now() - started) / 1000); // the first one allocates
        }
        const value = n / median(times);
        return { value, rate: (prefillWork(config, n) * value) / n };
      });
    }
    const decode = async (count: number, context: number): Promise<Pick<Measurement, "value" | "rate">> => {
      const caches: KvCache[] = [];
      try {
        caches.push(loaded.createCache(context + tokens + warmUp, { format }));
        await read(loaded, caches[0]!, context, config, signal);
        while (caches.length < count) caches.push(await caches[0]!.fork());
        const steps = loaded.sample === undefined || count > 1 ? continueAll : generate;
        const perSecond = await steps(loaded, caches, tokens, signal);
        const bytes =
          known.weights - embeddingBytes(checkpoint) + count * (context + tokens / 2) * cacheBytes(config, format);
        return { value: count * perSecond, rate: bytes * perSecond };
      } finally {
        for (const cache of caches) cache[Symbol.dispose]();
      }
    };
    for (const context of task.contexts) await measure(() => decode(1, context));
    for (const size of task.batches.sizes) await measure(() => decode(size, task.batches.context));
    return { ...known, measurements };
  } finally {
    await program?.[Symbol.asyncDispose]();
  }
}

function whyNot(error: unknown, signal: AbortSignal): Pick<Measurement, "notRun" | "failed"> {
  if (signal.aborted) return { notRun: "out of time" };
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof PolyllamaError && (error.code === "ERR_MEMORY" || error.code === "ERR_UNSUPPORTED");
  return known ? { notRun: message } : { failed: message };
}

/** Reads `n` arbitrary tokens in chunks; the logits of the last come back, as for a prompt. */
async function read(
  program: Program,
  cache: KvCache,
  n: number,
  { vocabSize }: LlamaConfig,
  signal: AbortSignal,
): Promise<void> {
  for (let first = 0; first < n; first += chunk) {
    const rows = Math.min(chunk, n - first);
    const tokens = Int32Array.from({ length: rows }, (_, i) => ((first + i) * 7919 + 1) % vocabSize);
    const wanted = first + rows === n ? [{ value: "logits", rows: "last" } as const] : [];
    await program.run({ inputs: { tokens }, batch: [{ rows, cache }] }, wanted, { signal });
  }
}

/** Continues sequences together, greedily, and returns the steps per second. Logits come to the host at every step. */
async function continueAll(
  program: Program,
  caches: readonly KvCache[],
  steps: number,
  signal: AbortSignal,
): Promise<number> {
  let tokens = new Int32Array(caches.length).fill(1);
  const batch = caches.map((cache) => ({ rows: 1, cache }));
  let started = performance.now();
  for (let step = -warmUp; step < steps; step++) {
    if (step === 0) started = performance.now();
    const [logits] = await program.run({ inputs: { tokens }, batch }, [{ value: "logits", rows: "last" }], { signal });
    const { data, shape } = logits!; // [sequences, V]
    tokens = tokens.map((_, i) => mostProbable(data.subarray(i * shape[1], (i + 1) * shape[1])));
  }
  return (steps * 1000) / (performance.now() - started);
}

/** Continues one sequence as `Llama` does where the device chooses the tokens itself, and returns the steps per second. */
async function generate(
  program: Program,
  [cache]: readonly KvCache[],
  steps: number,
  signal: AbortSignal,
): Promise<number> {
  const sampling = createSampler({ temperature: 0 }).draw!; // nothing that needs the tokens before
  const count = warmUp + steps;
  const run = { cache: cache!, tokens: Int32Array.of(1), sampling, count };
  let [taken, started] = [0, 0];
  for await (const _ of program.sample!(run, { signal })) if (++taken === warmUp) started = performance.now();
  return (steps * 1000) / (performance.now() - started);
}

/** Bytes of one position's keys and values. */
function cacheBytes({ layers, kvHeads, headDim }: LlamaConfig, format: CacheFormat): number {
  return 2 * layers * kvHeads * headDim * (format === "f32" ? 4 : 2);
}

/** Of the embedding only a row is read for each token. */
function embeddingBytes({ config, weights }: Checkpoint): number {
  const info = weights.get("tok_embeddings.weight");
  if (info === undefined || config.tiedEmbeddings) return 0;
  return formatBytes(info.format, rowCount(info) * columnCount(info));
}

/** Operations of reading a prompt: all matrix products but the output's, and the attention's lower triangle. */
function prefillWork({ dim, layers, heads, kvHeads, headDim, hiddenDim }: LlamaConfig, n: number): number {
  const weights = 2 * dim * (heads + kvHeads) * headDim + 3 * dim * hiddenDim;
  return layers * (2 * weights * n + 2 * n * n * heads * headDim);
}

function facts({ label, model }: BenchTask, { weights }: Checkpoint): Omit<BenchResult, "measurements"> {
  const bytes = [...weights.values()].map((info) => formatBytes(info.format, rowCount(info) * columnCount(info)));
  return { label, model, weights: bytes.reduce((sum, size) => sum + size, 0) };
}

/**
 * The same weights again and again: a matrix repeats its first rows, so that making the weights takes less time than moving
 * them. Speed does not depend on what they are.
 */
function tiled(checkpoint: Checkpoint): WeightSource {
  const rows = 64;
  const tiles = new Map<string, Promise<Uint8Array>>();
  return {
    name: checkpoint.name,
    weights: checkpoint.weights,
    fingerprint: async () => `${await checkpoint.fingerprint()} tiled by ${rows}`,
    async read(name, range, signal) {
      const info = checkpoint.weights.get(name);
      if (info === undefined || info.shape.length === 1) return checkpoint.read(name, range, signal);
      const { first, count } = range ?? { first: 0, count: rowCount(info) };
      const rowBytes = formatBytes(info.format, columnCount(info));
      const held = Math.min(rows, rowCount(info));
      const tile = tiles.get(name) ?? checkpoint.read(name, { first: 0, count: held }, signal);
      tiles.set(name, tile);
      const source = await tile;
      const bytes = new Uint8Array(count * rowBytes);
      for (let row = 0; row < count; ) {
        const from = (first + row) % held;
        const take = Math.min(held - from, count - row);
        bytes.set(source.subarray(from * rowBytes, (from + take) * rowBytes), row * rowBytes);
        row += take;
      }
      return bytes;
    },
  };
}
