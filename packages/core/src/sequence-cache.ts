// What caches of all backends have in common beside their memory: a length, one user at a time, a memory that is freed as soon as
// nobody uses it, and steps that advance their caches only when they succeed.

import type { KvCache } from "./backend.ts";
import { PolyllamaError } from "./errors.ts";
import { checkNumber } from "./options.ts";
import type { ResolvedSequence } from "./step.ts";

/** A cache to build a backend's own upon. */
export abstract class SequenceCache implements KvCache {
  readonly capacity: number;
  abstract readonly bytes: number;
  #length = 0;
  #user: string | undefined;
  #state: "alive" | "disposed" | "freed" = "alive";

  /** @throws {PolyllamaError} `ERR_OPTION` for a capacity that is no positive integer. */
  constructor(capacity: number) {
    checkNumber(capacity, "capacity", { least: 1, most: 2 ** 31 - 1, integer: true });
    this.capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  /** Reserves the cache for one user, "a run". @throws {PolyllamaError} `ERR_BUSY`, `ERR_DISPOSED` */
  acquire(user: string): void {
    this.#assertIdle();
    this.#user = user;
  }

  /** Ends what `acquire` began; `length` is the new length. */
  releaseAt(length: number): void {
    this.#length = length;
    this.#user = undefined;
    if (this.#state === "disposed") this.#free();
  }

  truncate(length: number): void {
    this.#assertIdle();
    checkNumber(length, "The length that a cache is truncated to", { least: 0, most: this.#length, integer: true });
    this.#length = length;
  }

  async fork(): Promise<KvCache> {
    this.acquire("a fork");
    let copy: SequenceCache | undefined;
    try {
      copy = this.empty();
      copy.acquire("a fork");
      await this.copyTo(copy);
      copy.releaseAt(this.#length);
      return copy;
    } catch (error) {
      copy?.releaseAt(0);
      copy?.[Symbol.dispose]();
      throw error;
    } finally {
      this.releaseAt(this.#length);
    }
  }

  /** Frees the memory: at once, or when the run that uses it ends. */
  [Symbol.dispose](): void {
    if (this.#state === "alive") this.#state = "disposed";
    if (this.#user === undefined) this.#free();
  }

  /** A cache like this one. */
  protected abstract empty(): SequenceCache;
  /** Copies the positions in use to a cache that `empty` made. */
  protected abstract copyTo(copy: SequenceCache): Promise<void>;
  /** Gives the memory back; called once. */
  protected abstract free(): void;

  #assertIdle(): void {
    if (this.#state !== "alive") {
      throw new PolyllamaError("ERR_DISPOSED", "The cache was disposed; create another one.");
    }
    if (this.#user !== undefined) {
      throw new PolyllamaError(
        "ERR_BUSY",
        `The cache is in use by ${this.#user}; wait for it, or fork the cache before.`,
      );
    }
  }

  #free(): void {
    if (this.#state === "freed") return;
    this.#state = "freed";
    this.free();
  }
}

/**
 * Reserves the caches of a step, all or none.
 *
 * @param isOwn Whether a cache is of the program that runs.
 * @throws {PolyllamaError} `ERR_GRAPH` for another program's cache, `ERR_BUSY`, `ERR_DISPOSED`
 */
export function acquireCaches<Cache extends SequenceCache>(
  sequences: readonly ResolvedSequence[],
  isOwn: (cache: KvCache) => cache is Cache,
): ReadonlyMap<Cache, ResolvedSequence> {
  const acquired = new Map<Cache, ResolvedSequence>();
  try {
    for (const sequence of sequences) {
      const { cache } = sequence;
      if (cache === undefined) continue;
      if (!isOwn(cache)) {
        throw new PolyllamaError("ERR_GRAPH", "A cache belongs to the program that created it; this is another one's.");
      }
      cache.acquire("a run");
      acquired.set(cache, sequence);
    }
    return acquired;
  } catch (error) {
    for (const [cache, { start }] of acquired) cache.releaseAt(start);
    throw error;
  }
}

/** Awaits a run of a step whose caches are reserved: they advance when it succeeds, and stay where they were otherwise. */
export async function advanceCaches<Result>(
  caches: ReadonlyMap<SequenceCache, ResolvedSequence>,
  run: Promise<Result>,
): Promise<Result> {
  let advanced = false;
  try {
    const result = await run;
    advanced = true;
    return result;
  } finally {
    for (const [cache, { start, rows }] of caches) cache.releaseAt(advanced ? start + rows : start);
  }
}
