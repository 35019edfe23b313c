// Memory that grows when more of it is needed. Its content is lost then, and so is its reference.

import type { Machine } from "../machine.ts";
import type { Arena } from "../native/engine.ts";

/** What is taken where so many bytes are needed: some more, so that it does not grow with every step. */
export function grownBytes(needed: number): number {
  return Math.max(4096, Math.ceil(1.25 * needed));
}

export class GrowingMemory implements Disposable {
  readonly #machine: Machine;
  readonly #what: string;
  #arena: Arena | undefined;
  #moves = 0;

  /** @param what What it is for, for errors. */
  constructor(machine: Machine, what: string) {
    this.#machine = machine;
    this.#what = what;
  }

  /** How often it has moved. */
  get moves(): number {
    return this.#moves;
  }

  /** Makes room for so many bytes. Nothing is under way that uses it. @throws {MemoryError} */
  ensure(bytes: number): Arena {
    if (this.#arena !== undefined && bytes <= this.#arena.bytes) return this.#arena;
    this[Symbol.dispose]();
    this.#moves++;
    this.#arena = this.#machine.allocate(grownBytes(bytes), this.#what);
    return this.#arena;
  }

  [Symbol.dispose](): void {
    this.#arena?.[Symbol.dispose]();
    this.#arena = undefined;
  }
}
