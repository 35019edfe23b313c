// Steps of a device, one after another: actions that must not overlap begin in the order in which they asked.

import { UnderWay } from "./under-way.ts";

/** The queue of a device's steps. Who waits and is aborted hears it at once; its turn is passed over. */
export class StepQueue {
  /** Steps whose outputs are not there yet. */
  readonly underWay: UnderWay = new UnderWay();
  #last: Promise<void> = Promise.resolve();

  /**
   * Runs the action when all earlier ones have ended.
   *
   * @throws the signal's reason, when it is aborted before the action begins; what the action throws.
   */
  async begin<Result>(signal: AbortSignal | undefined, action: () => Promise<Result>): Promise<Result> {
    signal?.throwIfAborted();
    const earlier = this.#last;
    let end: () => void = () => undefined;
    const own = new Promise<void>((resolve) => {
      end = resolve;
    });
    // Later ones wait for the earlier ones, too: this one may leave before its turn.
    this.#last = earlier.then(() => own);
    try {
      await orAborted(earlier, signal);
      return await action();
    } finally {
      end();
    }
  }
}

/** The promise's result, or the signal's reason if that comes first. */
export async function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let leave: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    leave = onAbort(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    leave();
  }
}

/** Who is told of an abort. */
interface Waiters {
  readonly each: Set<() => void>;
  readonly tell: () => void;
}

/** One listener of a signal serves all who wait: platforms take many listeners for a leak. */
const waiting = new WeakMap<AbortSignal, Waiters>();

/** @returns what ends it. */
function onAbort(signal: AbortSignal, act: () => void): () => void {
  const waiters = waiting.get(signal) ?? listen(signal);
  waiters.each.add(act);
  return () => {
    waiters.each.delete(act);
    if (waiters.each.size > 0) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", waiters.tell);
  };
}

function listen(signal: AbortSignal): Waiters {
  const each = new Set<() => void>();
  const tell = (): void => {
    for (const act of each) act();
  };
  signal.addEventListener("abort", tell, { once: true });
  const waiters = { each, tell };
  waiting.set(signal, waiters);
  return waiters;
}
