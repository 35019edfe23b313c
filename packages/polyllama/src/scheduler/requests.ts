// Who waits, who runs, and who advances in the next step. Requests are admitted while there are blocks for all of their
// tokens; what they write takes further blocks. When these run out, those that rank last give theirs back, wait again,
// and compute their tokens anew later.

import { commonPrefix } from "../sequence-model.ts";
import type { Cuts } from "./cuts.ts";
import type { KvBlocks } from "./kv-blocks.ts";
import { chosen, compareRank, mayShare, type Request, type RequestPlace } from "./request.ts";

/** How many there may be. */
export interface RequestLimits {
  /** Requests in one step. */
  readonly running: number;
  /** Rows of a step in which texts are written; prompts get what these leave, and a quarter at least. */
  readonly stepTokens: number;
  /** Rows of a step of prompts alone. */
  readonly chunk: number;
  /** Tokens that a reader may leave lying. */
  readonly undelivered: number;
}

/** Rows of a request in a step. */
export interface Part {
  readonly request: Request;
  readonly place: RequestPlace;
  readonly rows: number;
  /** Whether the last row is the text's last token, behind which one is chosen. */
  readonly chooses: boolean;
}

export class Requests {
  readonly #blocks: KvBlocks;
  readonly #cuts: Cuts;
  readonly #limits: RequestLimits;
  readonly #waiting = new Set<Request>();
  readonly #running = new Set<Request>();
  /** How often blocks were taken from a running request. */
  preemptions = 0;
  /** Positions that admitted requests found computed. */
  prefixHits = 0;

  constructor(blocks: KvBlocks, cuts: Cuts, limits: RequestLimits) {
    this.#blocks = blocks;
    this.#cuts = cuts;
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get running(): ReadonlySet<Request> {
    return this.#running;
  }

  /** Those that wait and those that run. */
  get count(): number {
    return this.#waiting.size + this.#running.size;
  }

  /** All of them. */
  *[Symbol.iterator](): Generator<Request, void, undefined> {
    yield* this.#running;
    yield* this.#waiting;
  }

  /** A new one. */
  add(request: Request): void {
    this.#waiting.add(request);
  }

  /** One has ended: its blocks are given back. */
  remove(request: Request): void {
    request.state = "ended";
    this.#waiting.delete(request);
    this.#running.delete(request);
    this.#blocks.close(request);
  }

  /** Takes its blocks from a running request, which waits again. */
  preempt(request: Request): void {
    this.#running.delete(request);
    this.#blocks.close(request);
    request.state = "waiting";
    this.#waiting.add(request);
    this.preemptions++;
  }

  /** Whether its reader has left so many tokens lying that it rests. */
  rests({ delivery }: Request): boolean {
    return delivery.undelivered >= this.#limits.undelivered;
  }

  /** Lets requests run, in their order, while there is room. None passes one that there is no room for. */
  admit(): void {
    const passed: Request[] = [];
    for (const request of [...this.#waiting].sort(compareRank)) {
      if (this.rests(request)) continue;
      if (this.#waitsForPrefix(request)) {
        passed.push(request);
        continue;
      }
      if (!this.#open(request)) return;
      this.#waiting.delete(request);
      this.#running.add(request);
      request.state = "running";
      this.prefixHits += request.place?.computed ?? 0;
      for (const other of this.#waiting) {
        if (other.number < request.number && !passed.includes(other) && !this.rests(other)) other.overtaken++;
      }
    }
  }

  /** What the next step computes: a row of each text that is written, and then prompts as far as there is room. */
  batch(): readonly Part[] {
    const order = [...this.#running].filter((request) => !this.rests(request)).sort(compareRank);
    const parts = new Map<Request, Part>();
    for (const request of order) {
      const part = this.#part(request, 1);
      if (part !== undefined && this.#cuts.writes(request, part.place)) this.#put(parts, part);
    }
    const { stepTokens, chunk } = this.#limits;
    let room = parts.size > 0 ? Math.max(stepTokens - parts.size, Math.ceil(stepTokens / 4)) : chunk;
    let prompts = 0;
    for (const request of order) {
      if (parts.has(request) || room === 0) continue;
      const part = this.#part(request, room);
      if (part === undefined || (part.rows > room && prompts > 0)) continue;
      if (!this.#put(parts, part)) continue;
      prompts++;
      room = Math.max(0, room - part.rows);
    }
    return [...parts.values()];
  }

  /** Whether a step of one more row of each part is what {@link batch} would choose while so many are under way. */
  goOn(parts: readonly Part[], underWay: number): boolean {
    const own = new Map(parts.map(({ request, place }) => [request, place]));
    for (const request of this.#running) if (!own.has(request) && !this.rests(request)) return false;
    for (const [request, place] of own) {
      const { delivery, count } = request;
      const rests = delivery.undelivered + underWay >= this.#limits.undelivered;
      if (request.place !== place || rests || chosen(request) + underWay >= count) return false;
    }
    const blocks = this.#blocks.needed(parts.map(({ place }) => ({ place, rows: 1 })));
    return blocks <= this.#blocks.pool.freeBlocks;
  }

  /** A running request alone. */
  alone(request: Request): Part | undefined {
    return this.#part(request, this.#limits.chunk);
  }

  #part(request: Request, room: number): Part | undefined {
    const { place, tokens } = request;
    if (place === undefined) return undefined; // its blocks were taken a moment ago
    const rows = this.#cuts.rows(request, place, room);
    return { request, place, rows, chooses: place.cache.length + rows === tokens.length };
  }

  /** Adds to a step where there are blocks, or who ranks lower gives some. @returns whether there are */
  #put(parts: Map<Request, Part>, part: Part): boolean {
    const { request } = part;
    while (!this.#blocks.free(this.#blocks.needed([...parts.values(), part]))) {
      const victim = this.#victim(request);
      if (victim === undefined) return false;
      parts.delete(victim);
      this.preempt(victim);
    }
    parts.set(request, part);
    return true;
  }

  /** Who gives blocks to a request: one that rests, or else the last of those that rank lower. */
  #victim(request: Request): Request | undefined {
    const others = [...this.#running].filter((other) => other !== request).sort(compareRank);
    const resting = others.filter((other) => this.rests(other));
    return resting.at(-1) ?? others.filter((other) => compareRank(request, other) < 0).at(-1);
  }

  /** Each text that grows has a block to go on with, so that who comes does not have to leave at once. */
  #open(request: Request): boolean {
    for (;;) {
      const running = [...this.#running];
      const spare = running.filter((other) => this.#blocks.grows(other)).length;
      if (running.length < this.#limits.running && this.#blocks.open(request, spare)) return true;
      const resting = running.filter((other) => this.rests(other)).sort(compareRank);
      const victim = resting.at(-1);
      if (victim === undefined) return false;
      this.preempt(victim);
    }
  }

  /** Whether a running request computes more of its beginning at this moment than is known: it need not be twice. */
  #waitsForPrefix(request: Request): boolean {
    if (!this.#blocks.shares) return false;
    const { unit } = this.#cuts;
    const most = request.tokens.length - 1;
    let longest = 0;
    for (const other of this.#running) {
      if (!mayShare(request, other) || (other.place?.computed ?? 0) >= other.promptLength || this.rests(other))
        continue;
      const common = Math.min(commonPrefix(request.tokens, other.tokens), other.promptLength, most);
      longest = Math.max(longest, common - (common % unit));
    }
    return longest > 0 && longest > this.#blocks.known(request);
  }
}
