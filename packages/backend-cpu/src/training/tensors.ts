// Tensors of training in memory of the library's own. What one step gives and another takes has the same sizes from step
// to step, so that memory is handed on: the system would have to clear it each time.

import type { HostArray } from "@polyllama/core/device";
import type { TensorLayout, TensorStorage } from "@polyllama/planner";
import type { Machine } from "../machine.ts";
import type { Arena } from "../native/engine.ts";
import { fromMemory, wordsOf } from "./layout.ts";

/** Memory that is free to be used again, by bytes. */
export class TensorMemory {
  readonly #machine: Machine;
  readonly #free = new Map<number, Arena[]>();
  #users = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Memory of so many bytes at least, with whatever was in it. @throws {MemoryError} */
  take(bytes: number): Arena {
    const size = Math.ceil(Math.max(bytes, 1) / 4096) * 4096;
    return this.#free.get(size)?.pop() ?? this.#machine.allocate(size, "a tensor of training");
  }

  give(arena: Arena): void {
    if (this.#users === 0) {
      arena[Symbol.dispose]();
      return;
    }
    const others = this.#free.get(arena.bytes) ?? [];
    others.push(arena);
    this.#free.set(arena.bytes, others);
  }

  /** A program that takes tensors begins or, disposed, ends: behind the last one nothing is kept. */
  use(): Disposable {
    this.#users++;
    return {
      [Symbol.dispose]: () => {
        this.#users--;
        if (this.#users > 0) return;
        for (const arenas of this.#free.values()) for (const arena of arenas) arena[Symbol.dispose]();
        this.#free.clear();
      },
    };
  }
}

/** A tensor's memory. */
export class NativeTensor implements TensorStorage {
  /** The device. */
  readonly owner: object;
  readonly layout: TensorLayout;
  readonly arena: Arena;
  readonly #memory: TensorMemory;
  readonly #onFree: () => void;

  /** @throws {MemoryError} */
  constructor(owner: object, layout: TensorLayout, memory: TensorMemory, onFree: () => void) {
    this.owner = owner;
    this.layout = layout;
    this.arena = memory.take(4 * (wordsOf(layout, layout.rows) + 16));
    this.#memory = memory;
    this.#onFree = onFree;
  }

  /** A copy [rows, width]. */
  async read(): Promise<HostArray> {
    return this.array();
  }

  array(): HostArray {
    return fromMemory(this.layout, this.layout.rows, this.arena.floatsAt(0, Math.floor(this.arena.bytes / 4)));
  }

  free(): void {
    this.#memory.give(this.arena);
    this.#onFree();
  }
}
