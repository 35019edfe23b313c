// The benchmarks run every engine in a process of its own and talk to it in these messages, so that engines can be
// measured in turn, A B A B, while both are loaded, and each process's peak memory is its own.

import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { CacheFormat } from "@polyllama/core";

export interface LoadRequest {
  readonly kind: "load";
  readonly model: string;
  readonly threads: number;
  readonly contextLength: number;
  /** polyllama's backend; default: cpu. */
  readonly backend?: string;
  /** Instruction set of the cpu backend's kernels; default: the best. */
  readonly instructionSet?: string;
  /** Where polyllama packs weights; default: where it always does. */
  readonly cacheFolder?: string;
  /** Format of polyllama's keys and values; default: f32. */
  readonly cacheFormat?: CacheFormat;
}

export type Request =
  | LoadRequest
  /** Reads `tokens` tokens from an empty context. */
  | { readonly kind: "prefill"; readonly tokens: number }
  /** Keeps the first `tokens` positions alone. */
  | { readonly kind: "rewind"; readonly tokens: number }
  /** Generates `tokens` tokens greedily behind what is there. */
  | { readonly kind: "decode"; readonly tokens: number }
  /** The 99th percentile of how long the event loop was held up during what was asked last. */
  | { readonly kind: "delay" }
  | { readonly kind: "peak" };

export interface Engine {
  load(request: LoadRequest): Promise<void>;
  prefill(tokens: number): Promise<void>;
  rewind(tokens: number): Promise<void>;
  decode(tokens: number): Promise<void>;
}

/** Answers to requests are seconds, MiB for `peak`, ms for `delay`. */
export function serve(engine: Engine): void {
  let delay = Number.NaN;
  const timed = async (action: () => Promise<void>): Promise<number> => {
    const monitor = monitorEventLoopDelay({ resolution: 1 });
    monitor.enable();
    const started = performance.now();
    await action();
    const seconds = (performance.now() - started) / 1000;
    monitor.disable();
    delay = monitor.percentile(99) / 1e6;
    return seconds;
  };
  const answer = async (request: Request): Promise<number> => {
    if (request.kind === "delay") return delay;
    if (request.kind === "peak") return peakMemory();
    if (request.kind === "load") return timed(() => engine.load(request));
    return timed(() => engine[request.kind](request.tokens));
  };
  process.on("message", async (request: Request) => {
    try {
      process.send?.(await answer(request));
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  });
}

/** Largest resident size of this process so far, in MiB. */
export function peakMemory(): number {
  const high = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(high?.[1]) / 1024;
}

/** The same prompt for every engine: ids spread over the vocabulary, BOS first. */
export function prompt(tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => (i === 0 ? 1 : 300 + ((i * 7919) % 30000)));
}
