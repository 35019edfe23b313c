// Memory of tensors that was given back and is handed on: what one step of training gives and another takes has nearly the
// same sizes from step to step, and what a device grants anew is slow. Batches of other lengths have other sizes; so sizes
// are rounded, and no more is held than was taken at once, which would otherwise grow with every length.

import { MemoryError } from "@polyllama/core";

/** A backend's part. */
export interface MemorySource<Memory> {
  /** @throws {MemoryError} */
  allocate(bytes: number): Memory;
  /** It is not held any more. */
  free(memory: Memory): void;
  /** Absent: always. */
  isUsable?(memory: Memory): boolean;
  /** Bytes that one memory has at most. Default: no limit. */
  readonly most?: number;
}

interface Held<Memory> {
  readonly memory: Memory;
  readonly size: number;
}

/** Memory that is handed on, of a device. */
export class RecycledMemory<Memory extends object> {
  readonly #source: MemorySource<Memory>;
  readonly #sizes = new WeakMap<Memory, number>();
  /** Those that wait to be taken, the newest last. */
  #free: Held<Memory>[] = [];
  /** Bytes of what is taken, of that and what is free, and the most that were taken at once. */
  #taken = 0;
  #held = 0;
  #peak = 0;
  #users = 0;

  constructor(source: MemorySource<Memory>) {
    this.#source = source;
  }

  /** Bytes that are held, free or taken. */
  get bytes(): number {
    return this.#held;
  }

  /** Memory of so many bytes at least, with whatever was in it. @throws {MemoryError} */
  take(bytes: number): Memory {
    const { isUsable = () => true } = this.#source;
    const size = roundedSize(bytes, this.#source.most);
    let memory: Memory | undefined;
    while (memory === undefined) {
      const at = this.#free.map((each) => each.size).lastIndexOf(size);
      if (at < 0) break;
      const [found] = this.#free.splice(at, 1);
      if (found !== undefined && isUsable(found.memory)) memory = found.memory;
      else this.#held -= size; // the device has refused it
    }
    memory ??= this.#allocate(size);
    this.#taken += size;
    this.#peak = Math.max(this.#peak, this.#taken);
    return memory;
  }

  /** Nobody uses it any more. */
  give(memory: Memory): void {
    const size = this.#sizes.get(memory)!; // it was taken here
    this.#taken -= size;
    this.#free.push({ memory, size });
    if (this.#users === 0) this.#shrink(0);
  }

  /** A program that takes tensors begins or, disposed, ends: behind the last one nothing is kept. */
  use(): Disposable {
    this.#users++;
    return {
      [Symbol.dispose]: () => {
        this.#users--;
        if (this.#users > 0) return;
        this.#shrink(0);
        this.#peak = 0;
      },
    };
  }

  #allocate(size: number): Memory {
    this.#shrink(Math.max(0, Math.max(this.#peak, this.#taken + size) - size));
    let memory: Memory;
    try {
      memory = this.#source.allocate(size);
    } catch (error) {
      if (!(error instanceof MemoryError) || this.#free.length === 0) throw error;
      this.#shrink(0);
      memory = this.#source.allocate(size);
    }
    this.#sizes.set(memory, size);
    this.#held += size;
    return memory;
  }

  /** Frees what has waited longest, until so many bytes are held or nothing is free. */
  #shrink(bytes: number): void {
    while (this.#held > bytes) {
      const oldest = this.#free.shift();
      if (oldest === undefined) return;
      this.#held -= oldest.size;
      this.#source.free(oldest.memory);
    }
  }
}

/** At most an eighth more, so that lengths that differ a little are served by the same memory; whole pages. */
function roundedSize(bytes: number, most = Number.POSITIVE_INFINITY): number {
  const page = 4096;
  const unit = Math.max(page, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 3));
  const size = Math.ceil(Math.max(bytes, 1) / unit) * unit;
  return size <= most ? size : Math.max(bytes, Math.floor(most / page) * page);
}
