// Prompts and answers that were computed, for requests that begin alike: a radix tree whose edges are tokens and whose
// nodes hold KV blocks (RadixAttention: Zheng et al., "SGLang", 2024, section 3). Only whole units of a block or more are
// shared, so that nobody ever writes into them. A node holds its blocks by a fork of a sequence, cut off where the node
// ends: blocks are counted by those who hold them, and a request that goes on from a node has another fork of it.
//
// Each key has a tree of its own: what was computed for it is found by no other one.

import type { CachePool, SequenceCache } from "@polyllama/core/device";

/** Where tokens of a tree end. */
export interface PrefixNode {
  /** Positions from the beginning of the text. */
  readonly end: number;
  /** Blocks of all these positions; nothing at the root. */
  readonly cache: SequenceCache | undefined;
}

interface Node extends PrefixNode {
  parent: Node | undefined;
  /** Tokens since the parent's end: whole units. */
  edge: readonly number[];
  end: number;
  /** By the tokens of its edge's first unit. */
  readonly children: Map<string, Node>;
  /** Running requests whose prefix ends here or below. */
  users: number;
  /** When it was last found or added. */
  used: number;
  /** Of a root: whose tree it is. */
  readonly key: string | undefined;
}

/** Prefixes in one pool. */
export class PrefixCache implements Disposable {
  readonly #pool: CachePool;
  readonly #unit: number;
  readonly #roots = new Map<string, Node>();
  #clock = 0;

  /** @param unit Positions that are shared or not as a whole: a multiple of the pool's block. */
  constructor(pool: CachePool, unit: number) {
    this.#pool = pool;
    this.#unit = unit;
  }

  /** Blocks that eviction would free: those that no running request has. */
  get evictable(): number {
    let rows = 0;
    for (const node of this.#nodes()) if (node.users === 0) rows += node.edge.length;
    return rows / this.#pool.blockRows;
  }

  /** The longest known beginning of some tokens, of at most `most` of them. To be held before anything is evicted. */
  find(key: string, tokens: readonly number[], most: number): PrefixNode {
    return this.#walk(this.#root(key), tokens, most);
  }

  /**
   * Keeps the first `rows` positions of a sequence that has computed them, and gives where they end.
   *
   * @param from Where the sequence went on from. What others have computed meanwhile behind it is not kept twice: a node's
   * sequence has the blocks of its parent's, so that what it holds beside them is its edge.
   */
  add(key: string, tokens: readonly number[], rows: number, cache: SequenceCache, from: PrefixNode): PrefixNode {
    const whole = rows - (rows % this.#unit);
    const parent = this.#walk(this.#root(key), tokens, whole);
    if (parent.end === whole || (parent !== from && parent.end > 0)) return from;
    const edge = tokens.slice(parent.end, whole);
    const node = this.#node(parent, edge, firstRows(cache, whole));
    parent.children.set(this.#unitKey(edge, 0), node);
    return node;
  }

  /** A running request has these blocks: they are not evicted. */
  hold(node: PrefixNode): void {
    for (let each = own(node); each !== undefined; each = each.parent) each.users++;
  }

  /** The request has ended, or goes on from another node. */
  letGo(node: PrefixNode): void {
    for (let each = own(node); each !== undefined; each = each.parent) {
      each.users--;
      this.#forgetEmpty(each);
    }
  }

  /** Evicts until so many blocks are free, or all are in use: the least recently used first, from their ends. */
  evict(free: number): void {
    const { blockRows } = this.#pool;
    for (let missing = free - this.#pool.freeBlocks; missing > 0; missing = free - this.#pool.freeBlocks) {
      const leaf = this.#leastRecent();
      if (leaf === undefined) return;
      this.#shorten(leaf, Math.min(Math.ceil((missing * blockRows) / this.#unit) * this.#unit, leaf.edge.length));
    }
  }

  /** Forgets all prefixes. Requests that go on from some keep theirs. */
  clear(): void {
    for (const { cache } of this.#nodes()) cache?.[Symbol.dispose]();
    this.#roots.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #root(key: string): Node {
    const known = this.#roots.get(key);
    if (known !== undefined) return known;
    const root = this.#node(undefined, [], undefined, key);
    this.#roots.set(key, root);
    return root;
  }

  #node(parent: Node | undefined, edge: readonly number[], cache: SequenceCache | undefined, key?: string): Node {
    const end = (parent?.end ?? 0) + edge.length;
    return { parent, edge, end, cache, key, children: new Map(), users: 0, used: this.#clock++ };
  }

  /** The node at which the longest known beginning ends; an edge that it ends within is split. */
  #walk(root: Node, tokens: readonly number[], most: number): Node {
    let node = root;
    for (;;) {
      node.used = this.#clock++;
      if (node.end + this.#unit > most) return node;
      const child = node.children.get(this.#unitKey(tokens, node.end));
      if (child === undefined) return node;
      const shared = this.#sharedRows(child, tokens, most);
      if (shared < child.edge.length) {
        const upper = this.#split(child, shared);
        upper.used = this.#clock++;
        return upper;
      }
      node = child;
    }
  }

  /** Rows of a node's edge, in whole units, that are those of the tokens. */
  #sharedRows({ edge, end }: Node, tokens: readonly number[], most: number): number {
    const start = end - edge.length;
    let rows = 0;
    while (rows < edge.length && start + rows < most && edge[rows] === tokens[start + rows]) rows++;
    return rows - (rows % this.#unit);
  }

  /** Puts a node in the middle of an edge. */
  #split(lower: Node, rows: number): Node {
    const parent = lower.parent!; // it has an edge
    const start = parent.end;
    const upper: Node = {
      ...this.#node(parent, lower.edge.slice(0, rows), firstRows(lower.cache!, start + rows)), // likewise
      users: lower.users,
      used: lower.used,
    };
    parent.children.set(this.#unitKey(upper.edge, 0), upper);
    lower.parent = upper;
    lower.edge = lower.edge.slice(rows);
    upper.children.set(this.#unitKey(lower.edge, 0), lower);
    return upper;
  }

  #leastRecent(): Node | undefined {
    let found: Node | undefined;
    for (const node of this.#nodes()) {
      if (node.users > 0 || node.children.size > 0 || node.parent === undefined) continue;
      if (found === undefined || node.used < found.used) found = node;
    }
    return found;
  }

  /** Takes rows from a leaf's end. */
  #shorten(leaf: Node, rows: number): void {
    const { cache, parent } = leaf;
    if (rows < leaf.edge.length) {
      leaf.edge = leaf.edge.slice(0, leaf.edge.length - rows);
      leaf.end -= rows;
      cache?.truncate(leaf.end);
      return;
    }
    parent?.children.delete(this.#unitKey(leaf.edge, 0));
    cache?.[Symbol.dispose]();
    if (parent !== undefined) this.#forgetEmpty(parent);
  }

  /** A root that nothing hangs on goes, or clients' salts would be kept for ever. */
  #forgetEmpty(node: Node): void {
    const { key, children, users } = node;
    if (key === undefined || children.size > 0 || users > 0) return;
    if (this.#roots.get(key) === node) this.#roots.delete(key); // and not a later tree of the same key
  }

  *#nodes(): Generator<Node, void, undefined> {
    const open = [...this.#roots.values()];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      yield node;
      open.push(...node.children.values());
    }
  }

  #unitKey(tokens: readonly number[], at: number): string {
    return tokens.slice(at, at + this.#unit).join();
  }
}

/** A fork that ends behind so many positions. */
function firstRows(cache: SequenceCache, rows: number): SequenceCache {
  const fork = cache.fork();
  fork.truncate(rows);
  return fork;
}

/** All nodes are made here. */
function own(node: PrefixNode): Node | undefined {
  return node as Node;
}
