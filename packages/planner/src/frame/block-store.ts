// Which KV blocks are in use, and by how many sequences. Bookkeeping of the host alone: what a block holds is the
// backend's.

import { CacheFullError } from "@polyllama/core";

/** Blocks 0 to `blocks - 1`, counted by those who hold them. */
export class BlockStore {
  readonly blocks: number;
  readonly blockRows: number;
  readonly #holders: Uint32Array;
  /** The next one to be taken is the last. */
  readonly #free: number[];
  /** Blocks that are promised to sequences which have not taken them yet, copies of shared blocks included. */
  #reserved = 0;
  /** Copies that are promised to the holders of a shared block. */
  readonly #copies = new Map<number, number>();

  constructor(blocks: number, blockRows: number) {
    this.blocks = blocks;
    this.blockRows = blockRows;
    this.#holders = new Uint32Array(blocks);
    this.#free = Array.from({ length: blocks }, (_, i) => blocks - 1 - i);
  }

  /** Blocks that nobody holds and that are promised to nobody. */
  get free(): number {
    return this.#free.length - this.#reserved;
  }

  /** Blocks that somebody holds. */
  get held(): number {
    return this.blocks - this.#free.length;
  }

  /** Blocks for so many positions. */
  blocksFor(rows: number): number {
    return Math.ceil(rows / this.blockRows);
  }

  /** Changes how many blocks are promised. @throws {CacheFullError} */
  reserve(change: number): void {
    if (change > this.free) throw new CacheFullError(change, this.free, this.blockRows);
    this.#reserved += change;
  }

  /** A block that nobody holds; the caller has seen that there is one. */
  take(): number {
    const block = this.#free.pop();
    if (block === undefined) throw new CacheFullError(1, 0, this.blockRows);
    this.#holders[block] = 1;
    return block;
  }

  /** One more holder. */
  share(block: number): void {
    this.#holders[block]! += 1;
  }

  /** Promises a copy of the block to whoever of its holders writes first. @throws {CacheFullError} */
  promiseCopy(block: number): void {
    this.reserve(1);
    this.#copies.set(block, this.promisedCopies(block) + 1);
  }

  promisedCopies(block: number): number {
    return this.#copies.get(block) ?? 0;
  }

  /** A block for a copy of another one: a promised one, where there is one. */
  takeCopy(block: number): number {
    this.#takeBack(block, Math.min(1, this.promisedCopies(block)));
    return this.take();
  }

  isShared(block: number): boolean {
    return this.#holders[block]! > 1;
  }

  /** One holder less. */
  release(block: number): void {
    this.#holders[block]! -= 1;
    const holders = this.#holders[block]!;
    if (holders === 0) this.#free.push(block);
    // The last one to write writes into the block itself.
    this.#takeBack(block, Math.max(0, this.promisedCopies(block) - Math.max(0, holders - 1)));
  }

  #takeBack(block: number, copies: number): void {
    if (copies === 0) return;
    this.#reserved -= copies;
    const left = this.promisedCopies(block) - copies;
    if (left === 0) this.#copies.delete(block);
    else this.#copies.set(block, left);
  }
}
