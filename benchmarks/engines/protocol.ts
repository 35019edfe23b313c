// The benchmarks run every engine in a process of its own and talk to it in these messages, so that engines can be
// measured in turn, A B A B, while both are loaded, and each process's peak memory is its own.

import { readFileSync } from "node:fs";

export type Request =
  | {
      readonly kind: "load";
      readonly model: string;
      readonly threads: number;
      readonly contextLength: number;
      /** Where polyllama packs weights; default: where it always does. */
      readonly cacheFolder?: string;
    }
  /** Reads `tokens` tokens from an empty context. */
  | { readonly kind: "prefill"; readonly tokens: number }
  /** Generates `tokens` tokens greedily behind what is there. */
  | { readonly kind: "decode"; readonly tokens: number }
  | { readonly kind: "peak" };

export interface Engine {
  load(request: Extract<Request, { kind: "load" }>): Promise<void>;
  prefill(tokens: number): Promise<void>;
  decode(tokens: number): Promise<void>;
}

/** Answers to requests are seconds, or MiB for `peak`. */
export function serve(engine: Engine): void {
  process.on("message", async (request: Request) => {
    try {
      const started = performance.now();
      if (request.kind === "load") await engine.load(request);
      else if (request.kind === "prefill") await engine.prefill(request.tokens);
      else if (request.kind === "decode") await engine.decode(request.tokens);
      process.send?.(request.kind === "peak" ? peakMemory() : (performance.now() - started) / 1000);
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
