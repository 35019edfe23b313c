// Whether a model fits on a device, and which of its limits decides.

import type { MemoryEstimate, PresetName } from "@polyllama/core";
import { bytes } from "./format.ts";

/** What a model would take in Q4_0 with its whole context. */
export interface ModelNeeds extends MemoryEstimate {
  readonly model: PresetName;
  readonly context: number;
  /** Keys or values of one head: the least that has to lie in one piece. */
  readonly head: number;
}

/** What a device has; bytes. */
export interface Room {
  /** Undefined where nobody tells. */
  readonly memory: number | undefined;
  /** Of one buffer, and of what a kernel sees of it. */
  readonly buffer?: number;
  readonly binding?: number;
}

export interface Fit extends ModelNeeds {
  readonly verdict: "fits" | "does not fit" | "unknown";
  /** The limit that decides. */
  readonly limit: "memory" | "largest buffer" | "largest binding";
  readonly available: number | null;
  /** Positions that would fit, where the whole context does not. */
  readonly positions?: number;
}

export interface DeviceFits {
  readonly backend: string;
  readonly device: string;
  readonly models: readonly Fit[];
}

export function judgeFit(needs: ModelNeeds, { memory, buffer = Infinity, binding = Infinity }: Room): Fit {
  const { weights, cache, scratch, head, context } = needs;
  const piece = Math.min(buffer, binding);
  if (head > piece) {
    const limit = buffer < binding ? "largest buffer" : "largest binding";
    const positions = Math.floor((context * piece) / head);
    return { ...needs, verdict: "does not fit", limit, available: piece, positions };
  }
  if (memory === undefined) return { ...needs, verdict: "unknown", limit: "memory", available: null };
  const verdict = weights + cache + scratch <= memory ? "fits" : "does not fit";
  const positions = Math.floor((context * (memory - weights - scratch)) / cache);
  const shorter = verdict === "does not fit" && positions > 0 && { positions };
  return { ...needs, verdict, limit: "memory", available: memory, ...shorter };
}

/** One line, for people. */
export function describeFit({ model, verdict, limit, available, positions, ...needs }: Fit): string {
  const { weights, cache, scratch, head } = needs;
  const parts = `weights ${bytes(weights)}, cache ${bytes(cache)}, scratch ${bytes(scratch)}`;
  const total = `takes ${bytes(weights + cache + scratch)}`;
  const why =
    available === null
      ? `${total}, and the device does not tell its memory; its buffers and bindings are large enough`
      : limit === "memory"
        ? `${total} of ${bytes(available)} memory`
        : `a head of the cache takes ${bytes(head)}, the ${limit} is ${bytes(available)}`;
  return `${model} ${verdict}: ${why} (${parts})${positions === undefined ? "" : `; ${positions} positions would fit`}`;
}
