// The keys and values of one sequence as a list of blocks. Submitting a step changes the list at once, so that the next
// step can be submitted before the first has run; a step that fails takes its change back.

import { CacheFullError, checkNumber, PolyllamaError } from "@polyllama/core";
import type { CachePool, SequenceCache } from "@polyllama/core/device";
import type { BlockStore } from "./block-store.ts";
import type { CacheChange, StepRecord } from "./step-record.ts";

/** What a step needs to know of a sequence's blocks. */
export interface CacheRows {
  /** Blocks of positions 0 to `start + rows - 1`, in order. */
  readonly table: Uint32Array;
  /** Position of the first new row. */
  readonly start: number;
  readonly rows: number;
  /** Blocks to copy before anything is written: the sequence shared the first of each pair. */
  readonly copies: readonly BlockCopy[];
}

/** A whole block is copied. */
export interface BlockCopy {
  readonly from: number;
  readonly to: number;
}

/** What a cache needs of its pool. */
export interface CacheHome {
  readonly pool: CachePool;
  readonly store: BlockStore;
  /** Called with each new cache, and when one is disposed. */
  opened(cache: PagedCache): void;
  closed(cache: PagedCache): void;
  /** The content of a cache, when steps have ended. */
  export(cache: PagedCache): Promise<Uint8Array>;
  /** @throws {PolyllamaError} `ERR_DISPOSED` */
  assertAlive(): void;
}

/** A step's change of this cache while it is under way. */
interface Entry extends CacheChange {
  readonly record: StepRecord;
  /** Length before the step. */
  readonly before: number;
  /** Least length since. */
  floor: number;
  /** The shared block that the step replaced by a copy. */
  readonly replaced: { readonly index: number; readonly block: number } | undefined;
}

/** A sequence of a pool. */
export class PagedCache implements SequenceCache {
  readonly #home: CacheHome;
  readonly #table: number[] = [];
  readonly #entries = new Set<Entry>();
  /** Blocks that were set aside for it when it was opened. */
  #reserve: number;
  #reservedNow = 0;
  #length = 0;
  #disposed = false;

  /** Made by pools. @throws {CacheFullError} */
  constructor(home: CacheHome, reserve: number) {
    this.#home = home;
    this.#reserve = home.store.blocksFor(reserve);
    home.store.reserve(this.#reserve);
    this.#reservedNow = this.#reserve;
    home.opened(this);
  }

  get pool(): CachePool {
    return this.#home.pool;
  }

  get length(): number {
    return this.#length;
  }

  /** Blocks that it holds, in order. */
  get table(): readonly number[] {
    return this.#table;
  }

  /** Blocks that so many rows would take beyond those that are reserved for it. */
  blocksNeeded(rows: number): number {
    const { store } = this.#home;
    const more = store.blocksFor(this.#length + rows) - this.#table.length;
    const copies = rows > 0 && this.#sharesLast() && store.promisedCopies(this.#table.at(-1)!) === 0 ? 1 : 0;
    return Math.max(0, more - this.#reservedNow) + copies;
  }

  /** @throws {PolyllamaError} `ERR_DISPOSED` */
  assertAlive(): void {
    if (this.#disposed) throw new PolyllamaError("ERR_DISPOSED", "The cache was disposed; open another one.");
    this.#home.assertAlive();
  }

  /**
   * Makes room for a step's rows. Whoever calls has seen that the blocks are there.
   *
   * @throws {CacheFullError}
   */
  advance(rows: number, record: StepRecord): CacheRows {
    const { store } = this.#home;
    const needed = this.blocksNeeded(rows);
    if (needed > store.free) throw new CacheFullError(needed, store.free, store.blockRows);
    for (const entry of this.#entries) record.dependsOn(entry.record);
    const start = this.#length;
    const copies: BlockCopy[] = [];
    let replaced: Entry["replaced"];
    if (this.#sharesLast()) {
      const index = this.#table.length - 1;
      const from = this.#table[index]!; // a partly filled block is there
      const to = store.takeCopy(from);
      this.#table[index] = to;
      replaced = { index, block: from };
      copies.push({ from, to });
    }
    this.#grow(start + rows);
    this.#enter(record, start, start + rows, replaced);
    return { table: Uint32Array.from(this.#table), start, rows, copies };
  }

  /** Takes blocks for content that does not come from a step. The cache is empty. @throws {CacheFullError} */
  fill(rows: number): void {
    const { store } = this.#home;
    const needed = this.blocksNeeded(rows);
    if (needed > store.free) throw new CacheFullError(needed, store.free, store.blockRows);
    this.#grow(rows);
  }

  truncate(length: number): void {
    this.assertAlive();
    checkNumber(length, "The length that a cache is truncated to", { least: 0, most: this.#length, integer: true });
    this.#shrink(length);
    for (const entry of this.#entries) entry.floor = Math.min(entry.floor, length);
  }

  fork(reserve = 0): PagedCache {
    this.assertAlive();
    const { store } = this.#home;
    const promised = Math.max(0, store.blocksFor(reserve) - this.#table.length);
    const copies = reserve > this.#length && this.#length % store.blockRows > 0 ? 1 : 0;
    if (promised + copies > store.free) throw new CacheFullError(promised + copies, store.free, store.blockRows);
    const copy = new PagedCache(this.#home, 0);
    copy.#reserve = store.blocksFor(reserve);
    for (const block of this.#table) {
      store.share(block);
      copy.#table.push(block);
    }
    copy.#reserveRest();
    if (copies > 0) store.promiseCopy(this.#table.at(-1)!); // a partly filled block is there
    copy.#length = this.#length;
    for (const { record, before, floor, replaced } of this.#entries) {
      if (replaced !== undefined) store.share(replaced.block);
      copy.#enter(record, before, floor, replaced);
    }
    return copy;
  }

  async export(): Promise<Uint8Array> {
    this.assertAlive();
    return this.#home.export(this);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#shrink(0);
    this.#home.store.reserve(-this.#reservedNow);
    this.#reservedNow = 0;
    this.#home.closed(this);
  }

  /** Whether the block that the next row goes to is held by others, too. */
  #sharesLast(): boolean {
    const { store } = this.#home;
    if (this.#length % store.blockRows === 0) return false;
    const last = this.#table.at(-1);
    return last !== undefined && store.isShared(last);
  }

  #enter(record: StepRecord, before: number, floor: number, replaced: Entry["replaced"]): void {
    const { store } = this.#home;
    const entry: Entry = {
      record,
      before,
      floor,
      replaced,
      keep: () => {
        this.#entries.delete(entry);
        if (replaced !== undefined) store.release(replaced.block);
      },
      undo: () => {
        this.#entries.delete(entry);
        if (!this.#disposed) this.#shrink(Math.min(before, entry.floor));
        if (replaced === undefined) return;
        const { index, block } = replaced;
        if (!this.#disposed && index < this.#table.length) {
          store.release(this.#table[index]!); // its copy was never made, or is worth nothing
          this.#table[index] = block;
        } else {
          store.release(block);
        }
      },
    };
    this.#entries.add(entry);
    record.add(entry);
  }

  #grow(length: number): void {
    const { store } = this.#home;
    const blocks = store.blocksFor(length);
    while (this.#table.length < blocks) {
      this.#table.push(store.take());
      this.#reserveRest(); // one block after another, so that a reserved block never counts as free
    }
    this.#length = length;
  }

  #shrink(length: number): void {
    const { store } = this.#home;
    const blocks = store.blocksFor(length);
    while (this.#table.length > blocks) store.release(this.#table.pop()!); // not empty
    this.#length = length;
    this.#reserveRest();
  }

  /** What it holds counts towards what was set aside for it; what it gives back is set aside again. */
  #reserveRest(): void {
    if (this.#disposed) return;
    const rest = Math.max(0, this.#reserve - this.#table.length);
    // Blocks that others share are not free when they are given back.
    const change = Math.min(rest - this.#reservedNow, this.#home.store.free);
    this.#home.store.reserve(change);
    this.#reservedNow += change;
  }
}
