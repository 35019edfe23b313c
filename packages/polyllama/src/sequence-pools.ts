// Where a model's sequences keep their keys and values: in one pool that they share, as long as there is room, and
// otherwise in pools of their own.

import { PolyllamaError } from "@polyllama/core";
import type { CacheFormat, CachePool, CacheSpec, Device, SequenceCache } from "@polyllama/core/device";

/** A sequence's cache, and what gives it back. */
export interface CachePlace extends Disposable {
  readonly cache: SequenceCache;
}

/** Makes caches. */
export interface SequencePools extends Disposable {
  /** An empty cache with room for so many positions. @throws {MemoryError} */
  open(capacity: number): CachePlace;
  /** A copy that has room for so many positions, which shares blocks where its pool has free ones. */
  fork(cache: SequenceCache, capacity: number): Promise<CachePlace>;
  /** A pool apart, of so many sequences of so many positions, which is disposed with the others. @throws {MemoryError} */
  make(rows: number, sequences: number): CachePool;
}

/**
 * @param shared Positions of a sequence, and sequences, of the pool that all share; 0 sequences: none.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED` for a format that the device does not have
 */
export function sequencePools(
  device: Pick<Device, "cachePool">,
  spec: CacheSpec,
  shared: { readonly rows: number; readonly sequences: number },
  format?: CacheFormat,
): SequencePools {
  const pools = new Set<CachePool>();
  const make = (rows: number, sequences: number): CachePool => {
    const pool = device.cachePool(spec, { rows, sequences, ...(format !== undefined && { format }) });
    pools.add(pool);
    return pool;
  };
  if (format !== undefined) device.cachePool(spec, { rows: 1, format })[Symbol.dispose](); // refused now, not later
  const common = shared.sequences > 0 ? make(shared.rows, shared.sequences) : undefined;
  const alone = (capacity: number): readonly [CachePool, CachePlace["cache"]] => {
    const pool = make(capacity, 1);
    return [pool, pool.open(capacity)];
  };
  const own = (pool: CachePool, cache: SequenceCache): CachePlace => ({
    cache,
    [Symbol.dispose]() {
      cache[Symbol.dispose]();
      pools.delete(pool);
      pool[Symbol.dispose]();
    },
  });
  const inCommon = (open: () => SequenceCache): CachePlace | undefined => {
    try {
      const cache = open();
      return { cache, [Symbol.dispose]: () => cache[Symbol.dispose]() };
    } catch (error) {
      if (error instanceof PolyllamaError && error.code === "ERR_CACHE_FULL") return undefined;
      throw error;
    }
  };
  return {
    make,
    open(capacity) {
      const place = common && inCommon(() => common.open(capacity));
      return place ?? own(...alone(capacity));
    },
    async fork(cache, capacity) {
      const place = inCommon(() => cache.fork(capacity));
      if (place !== undefined) return place;
      const [pool, empty] = alone(capacity);
      empty[Symbol.dispose]();
      try {
        return own(pool, await pool.import(await cache.export(), capacity));
      } catch (error) {
        pools.delete(pool);
        pool[Symbol.dispose]();
        throw error;
      }
    },
    [Symbol.dispose]() {
      for (const pool of pools) pool[Symbol.dispose]();
    },
  };
}
