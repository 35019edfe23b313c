// How fast a device runs a model: loading, prompts, and decoding of one and of many sequences, with the bytes or
// operations per second that this is.

import { type CacheFormat, llamaGraph, PolyllamaError } from "@polyllama/core";
import { type Device, type LoadedGraph, loadGraph } from "@polyllama/core/device";
import { type Checkpoint, openCheckpoint } from "polyllama";
import { continueAll, generate, lastLogits, read } from "./steps.ts";
import { type BenchResult, type BenchTask, type Measurement, plan, warmUp } from "./tasks.ts";
import { tiled } from "./tiled.ts";
import { cacheBytes, embeddingBytes, prefillWork, weightBytes } from "./work.ts";

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

/** A task's result where nothing could be run. */
export async function skipTask(task: BenchTask, notRun: string): Promise<BenchResult> {
  await using checkpoint = await openCheckpoint(task.model);
  return { ...facts(task, checkpoint), measurements: plan(task).map(({ what, unit }) => ({ what, unit, notRun })) };
}

export async function runTask(device: Device, task: BenchTask, options: BenchOptions): Promise<BenchResult> {
  const { signal, onProgress, onResult, free, cache: format = "f16", tokens = 64 } = options;
  await using checkpoint = await openCheckpoint(task.model);
  const { config } = checkpoint;
  const graph = llamaGraph(config);
  const known = facts(task, checkpoint);
  const planned = [...plan(task, tokens)];
  const { contextLength } = config;
  const positions = Math.max(...planned.map((one) => (one.positions > contextLength ? 1 : one.positions)));
  const estimate = device.estimateMemory(graph, checkpoint.weights, 1);
  const needed = estimate.weights + estimate.scratch + positions * cacheBytes(config, format);
  if (free !== undefined && needed > free) {
    const [takes, has] = [needed, free].map((bytes) => (bytes / 2 ** 30).toFixed(1));
    return skipTask(task, `takes ${takes} GiB, and ${has} GiB are free`);
  }

  const measurements: Measurement[] = [];
  let model: LoadedGraph | undefined;
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
      model = await loadGraph(device, graph, tiled(checkpoint), { wanted: [lastLogits], signal });
      return { value: (performance.now() - started) / 1000 };
    });
    const loaded = model;
    if (loaded === undefined) {
      const rest = planned.map(({ what, unit }) => ({ what, unit, notRun: "the model was not loaded" }));
      return { ...known, measurements: [...measurements, ...rest] };
    }
    for (const n of task.prefill) {
      await measure(async () => {
        using pool = loaded.pool(n, { format });
        const cache = pool.open();
        const times: number[] = [];
        for (let round = 0; round < 4; round++) {
          cache.truncate(0);
          const started = performance.now();
          await read(loaded, [cache], n, signal);
          if (round > 0) times.push((performance.now() - started) / 1000); // the first one allocates
        }
        const value = n / median(times);
        return { value, rate: (prefillWork(config, n) * value) / n };
      });
    }
    const decode = async (count: number, context: number): Promise<Pick<Measurement, "value" | "rate">> => {
      using pool = loaded.pool(context + tokens + warmUp, { sequences: count, format });
      const caches = Array.from({ length: count }, () => pool.open()); // forks would read the same memory
      await read(loaded, caches, context, signal);
      const onDevice = device.features.outputs.includes("token") && count === 1;
      const perSecond = await (onDevice ? generate : continueAll)(loaded, caches, tokens, signal);
      const bytes =
        known.weights - embeddingBytes(checkpoint) + count * (context + tokens / 2) * cacheBytes(config, format);
      return { value: count * perSecond, rate: bytes * perSecond };
    };
    for (const context of task.contexts) await measure(() => decode(1, context));
    for (const size of task.batches.sizes) await measure(() => decode(size, task.batches.context));
    return { ...known, measurements };
  } finally {
    await model?.[Symbol.asyncDispose]();
  }
}

function whyNot(error: unknown, signal: AbortSignal): Pick<Measurement, "notRun" | "failed"> {
  if (signal.aborted) return { notRun: "out of time" };
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof PolyllamaError && (error.code === "ERR_MEMORY" || error.code === "ERR_UNSUPPORTED");
  return known ? { notRun: message } : { failed: message };
}

function facts({ label, model }: BenchTask, checkpoint: Checkpoint): Omit<BenchResult, "measurements"> {
  return { label, model, weights: weightBytes(checkpoint) };
}

/** The middle one of three. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
