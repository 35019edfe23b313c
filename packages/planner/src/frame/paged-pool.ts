// A pool of KV blocks: the host's bookkeeping over memory that a backend allocates.

import { type CacheFormat, checkNumber, PolyllamaError, UnsupportedError } from "@polyllama/core";
import type { CachePool, CacheSpec } from "@polyllama/core/device";
import { BlockStore } from "./block-store.ts";
import { type CacheHome, PagedCache } from "./paged-cache.ts";

/** The memory of a pool, as a backend has it. */
export interface PoolStorage {
  /** Memory of the whole pool. */
  readonly bytes: number;
  /** What of it is in use so far, where blocks take memory when they are first written. */
  readonly allocated?: number;
  /** The rows of a cache's blocks; absent where the backend cannot. */
  export?(table: readonly number[], length: number): Promise<Uint8Array>;
  /** How many positions such bytes hold. @throws {PolyllamaError} `ERR_OPTION` for bytes of another spec or format */
  lengthOf?(bytes: Uint8Array): number;
  /** Writes them into blocks. */
  import?(table: readonly number[], bytes: Uint8Array): Promise<void>;
  /** Gives the memory back. Called once, when no step under way uses the pool. */
  free(): void;
}

export interface PoolParts<Storage extends PoolStorage> {
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
  readonly blockRows: number;
  readonly blocks: number;
  readonly storage: Storage;
  /** The device that made it. */
  readonly owner: object;
  /** Reads or writes blocks when all steps that were submitted before have ended; the device's end waits for it. */
  readonly transfer: <Result>(action: () => Promise<Result>) => Promise<Result>;
  /** Called once, when its memory has been freed. */
  readonly onFree: () => void;
}

/** KV blocks on a device. */
export class PagedPool<Storage extends PoolStorage = PoolStorage> implements CachePool {
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
  readonly storage: Storage;
  readonly owner: object;
  readonly #store: BlockStore;
  readonly #caches = new Set<PagedCache>();
  readonly #home: CacheHome;
  readonly #parts: PoolParts<Storage>;
  /** Steps under way that use it. */
  #users = 0;
  #state: "alive" | "disposed" | "freed" = "alive";

  constructor(parts: PoolParts<Storage>) {
    this.spec = parts.spec;
    this.format = parts.format;
    this.storage = parts.storage;
    this.owner = parts.owner;
    this.#parts = parts;
    this.#store = new BlockStore(parts.blocks, parts.blockRows);
    this.#home = {
      pool: this,
      store: this.#store,
      opened: (cache) => void this.#caches.add(cache),
      closed: (cache) => this.#caches.delete(cache),
      export: (cache) => this.#export(cache),
      assertAlive: () => this.#assertAlive(),
    };
  }

  get blockRows(): number {
    return this.#store.blockRows;
  }

  /** Blocks that the pool has, free ones included. */
  get blocks(): number {
    return this.#store.blocks;
  }

  get freeBlocks(): number {
    return this.#store.free;
  }

  /** Blocks that sequences hold. */
  get heldBlocks(): number {
    return this.#store.held;
  }

  get bytes(): number {
    return this.storage.bytes;
  }

  open(reserve = 0): PagedCache {
    this.#assertAlive();
    checkNumber(reserve, "Positions to reserve", { least: 0, most: 2 ** 31 - 1, integer: true });
    return new PagedCache(this.#home, reserve);
  }

  blocksNeeded(cache: PagedCache, rows: number): number {
    return cache.blocksNeeded(rows);
  }

  async import(bytes: Uint8Array, reserve = 0): Promise<PagedCache> {
    this.#assertAlive();
    const { storage } = this;
    if (storage.import === undefined || storage.lengthOf === undefined) throw noExport("imported");
    const length = storage.lengthOf(bytes);
    const cache = this.open(Math.max(length, reserve));
    try {
      cache.fill(length);
      await this.#transfer(cache, () => storage.import!([...cache.table], bytes)); // it was there a moment ago
      cache.assertAlive();
      return cache;
    } catch (error) {
      cache[Symbol.dispose]();
      throw error;
    }
  }

  /** A step that uses it begins or ends: its memory stays until all of them have ended. */
  use(): Disposable {
    this.#users++;
    return {
      [Symbol.dispose]: () => {
        this.#users--;
        this.#freeUnused();
      },
    };
  }

  /** Disposes its sequences; the memory is freed when the last step under way that uses it has ended. */
  [Symbol.dispose](): void {
    if (this.#state !== "alive") return;
    for (const cache of this.#caches) cache[Symbol.dispose]();
    this.#state = "disposed";
    this.#freeUnused();
  }

  async #export(cache: PagedCache): Promise<Uint8Array> {
    const { storage } = this;
    if (storage.export === undefined) throw noExport("exported");
    using copy = cache.fork(); // whatever becomes of the cache meanwhile
    return await this.#transfer(copy, () => storage.export!([...copy.table], copy.length)); // it was there a moment ago
  }

  /** Reads or writes a cache's blocks: the memory stays as long as that takes. */
  async #transfer<Result>(cache: PagedCache, action: () => Promise<Result>): Promise<Result> {
    using _use = this.use();
    return await this.#parts.transfer(async () => {
      cache.assertAlive();
      return action();
    });
  }

  #freeUnused(): void {
    if (this.#state !== "disposed" || this.#users > 0) return;
    this.#state = "freed";
    this.storage.free();
    this.#parts.onFree();
  }

  #assertAlive(): void {
    if (this.#state !== "alive")
      throw new PolyllamaError("ERR_DISPOSED", "The pool of KV blocks was disposed; make another one.");
  }
}

function noExport(what: string): UnsupportedError {
  return new UnsupportedError(
    `Caches of this device cannot be ${what}`,
    "Compute the sequence again from its tokens.",
    {
      op: "attention",
    },
  );
}
