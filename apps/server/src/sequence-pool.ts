// The sequences that requests are answered in. Each holds a cache for a whole context, so there are few, made when they
// are first needed; who comes when all are taken waits for the first that is given back.

import type { Llama, Sequence } from "polyllama";

export interface SequencePool {
  /** @throws the signal's reason when it is aborted while waiting. */
  take(signal: AbortSignal): Promise<Sequence>;
  giveBack(sequence: Sequence): void;
}

export function sequencePool(llama: Llama, most: number): SequencePool {
  const idle: Sequence[] = [];
  const waiting = new Set<(sequence: Sequence) => void>();
  let made = 0;
  return {
    async take(signal) {
      signal.throwIfAborted();
      const free = idle.pop();
      if (free !== undefined) return free;
      if (made < most) {
        made++;
        return llama.createSequence();
      }
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(serve);
          reject(signal.reason);
        };
        const serve = (sequence: Sequence): void => {
          signal.removeEventListener("abort", leave);
          resolve(sequence);
        };
        waiting.add(serve);
        signal.addEventListener("abort", leave, { once: true });
      });
    },
    giveBack(sequence) {
      const [next] = waiting;
      if (next === undefined) idle.push(sequence);
      else {
        waiting.delete(next);
        next(sequence);
      }
    },
  };
}
