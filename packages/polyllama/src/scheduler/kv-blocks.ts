// KV blocks of running requests, and of prefixes that requests may share. Blocks that only the prefix cache holds are as
// good as free: they are evicted when somebody needs them.

import { PolyllamaError } from "@polyllama/core";
import type { CachePool } from "@polyllama/core/device";
import type { SequenceModel } from "../sequence-model.ts";
import type { Cuts } from "./cuts.ts";
import { PrefixCache } from "./prefix-cache.ts";
import type { Request, RequestPlace } from "./request.ts";

/** The pool of a scheduler. */
export class KvBlocks implements Disposable {
  readonly pool: CachePool;
  /** Most positions of a sequence. */
  readonly capacity: number;
  readonly #model: SequenceModel;
  readonly #cuts: Cuts;
  readonly #prefixes: PrefixCache | undefined;

  constructor(model: SequenceModel, pool: CachePool, contextLength: number, cuts: Cuts, keepsPrefixes: boolean) {
    this.pool = pool;
    this.capacity = Math.min(contextLength, pool.blocks * pool.blockRows);
    this.#model = model;
    this.#cuts = cuts;
    if (keepsPrefixes && cuts.unit <= this.capacity) this.#prefixes = new PrefixCache(pool, cuts.unit);
  }

  /** Whether what one request computes is found by others. */
  get shares(): boolean {
    return this.#prefixes !== undefined;
  }

  /** Blocks that only the prefix cache holds. */
  get cached(): number {
    return this.#prefixes?.evictable ?? 0;
  }

  /** Makes so many blocks free, if prefixes that nobody uses are all that is in the way. @returns whether they are */
  free(blocks: number): boolean {
    this.#prefixes?.evict(blocks);
    return blocks <= this.pool.freeBlocks;
  }

  /** Positions of a request that are known already, of those that it need not compute itself. */
  known(request: Request): number {
    return this.#find(request)?.end ?? 0;
  }

  /**
   * Blocks for all of a request's tokens and the next one, of which those of a known prefix are shared.
   *
   * @param spare Blocks that must remain free.
   * @returns whether there was room.
   */
  open(request: Request, spare: number): boolean {
    const { tokens } = request;
    const rows = Math.min(tokens.length + 1, this.capacity);
    const node = this.#find(request);
    if (node !== undefined) this.#prefixes?.hold(node); // before anything is evicted
    const known = node?.end ?? 0;
    if (!this.free(Math.ceil(rows / this.pool.blockRows) - known / this.pool.blockRows + spare)) {
      if (node !== undefined) this.#prefixes?.letGo(node);
      return false;
    }
    const cache = node?.cache?.fork(rows) ?? this.pool.open(rows);
    request.place = { cache, version: this.#model.parameters.version, known, computed: known, node };
    return true;
  }

  /** Whether a running request may come to need more blocks than were set aside for it. */
  grows({ tokens, promptLength, count }: Request): boolean {
    const { blockRows } = this.pool;
    return Math.ceil((promptLength + count - 1) / blockRows) > Math.ceil((tokens.length + 1) / blockRows);
  }

  /** Lets others find what a request has computed. */
  share(request: Request): void {
    const { place } = request;
    if (place?.node === undefined || this.#prefixes === undefined) return;
    if (place.version !== this.#model.parameters.version) return; // nobody can use it any more
    const rows = this.#cuts.shared(request.promptLength, place.computed);
    if (rows <= place.node.end) return;
    const node = this.#prefixes.add(this.#key(request), request.tokens, rows, place.cache, place.node);
    if (node === place.node) return;
    this.#prefixes.hold(node);
    this.#prefixes.letGo(place.node);
    place.node = node;
  }

  /** Takes a request's blocks from it; what it has computed can be found as long as nobody needs the room. */
  close(request: Request): void {
    const { place } = request;
    if (place === undefined) return;
    try {
      this.share(request);
    } catch (error) {
      if (!isDisposed(error)) throw error; // with the device: there is nothing to share any more
    }
    request.place = undefined;
    place.cache[Symbol.dispose]();
    if (place.node !== undefined) this.#prefixes?.letGo(place.node);
  }

  /** Blocks that steps need which advance requests by so many rows. */
  needed(parts: Iterable<{ readonly place: RequestPlace; readonly rows: number }>): number {
    let blocks = 0;
    for (const { place, rows } of parts) blocks += this.pool.blocksNeeded(place.cache, rows);
    return blocks;
  }

  /** Forgets all prefixes that no running request goes on from. */
  forget(): void {
    this.#prefixes?.clear();
  }

  [Symbol.dispose](): void {
    this.#prefixes?.[Symbol.dispose]();
    this.pool[Symbol.dispose]();
  }

  /** The last token is computed in any case, since its logits are not kept. */
  #find(request: Request): RequestPlace["node"] {
    return this.#prefixes?.find(this.#key(request), request.tokens, request.tokens.length - 1);
  }

  /** Who may share: those of the same parameters, adapter and salt. */
  #key({ adapter, salt }: Request): string {
    return JSON.stringify([this.#model.parameters.version, adapter ?? null, salt ?? null]);
  }
}

function isDisposed(error: unknown): boolean {
  return error instanceof PolyllamaError && error.code === "ERR_DISPOSED";
}
