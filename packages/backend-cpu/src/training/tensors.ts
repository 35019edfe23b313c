// Tensors of training in memory of the library's own, which is handed on: the system would have to clear it each time.

import type { HostArray } from "@polyllama/core/device";
import { RecycledMemory, type TensorLayout, type TensorStorage } from "@polyllama/planner";
import type { Machine } from "../machine.ts";
import type { Arena } from "../native/engine.ts";
import { fromMemory, wordsOf } from "./layout.ts";

/** Memory of tensors of a processor. */
export type TensorMemory = RecycledMemory<Arena>;

export function tensorMemory(machine: Machine): TensorMemory {
  return new RecycledMemory({
    allocate: (bytes) => machine.allocate(bytes, "a tensor of training"),
    free: (arena) => arena[Symbol.dispose](),
  });
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
