// What computes a run: the library with its threads and memory, behind an interface that WebAssembly has, too.

import { MemoryError, OptionError, PolyllamaError } from "@polyllama/core";
import { type Library, loadLibrary, type Pointer } from "./library.ts";

/** Memory that runs refer to; disposed, its bytes are gone. */
export interface Arena extends Disposable {
  /** Number of the arena, in the upper 16 bits of references. */
  readonly ref: bigint;
  readonly bytes: number;
  // Views of parts of it, from a byte on. They are made anew for each use: the memory of WebAssembly moves.
  bytesAt(offset: number, count: number): Uint8Array;
  wordsAt(offset: number, count: number): Uint32Array;
  floatsAt(offset: number, count: number): Float32Array;
  /** A view of all of it. */
  view(): DataView;
}

/** What a run found. */
export interface RunResult {
  /** A value that is not finite. */
  readonly notFinite: boolean;
  /** What could not be read of a file, or differs from its checksum: the number of a page, or 0 for rows. */
  readonly unread: number | undefined;
}

/** A file that the host has open; its descriptor is that of the C library. */
export interface MappedFile {
  readonly file: number;
  readonly writable: boolean;
}

/** One run at a time. */
export interface Engine {
  /** Name of the instruction set. */
  readonly set: string;
  /** Where the kernels are. */
  readonly library: string;
  readonly threads: number;
  /** Zeroed memory. @param what it is for, in errors @throws {MemoryError} */
  allocate(bytes: number, what: string): Arena;
  /**
   * A file's first bytes as memory; undefined where the system refuses that. Absent where steps cannot read files by
   * their descriptors.
   */
  map?(bytes: number, mapped: MappedFile): Arena | undefined;
  /**
   * Computes what a reference of the struct Run tells, off the event loop.
   *
   * @throws The signal's reason, once the step that was under way has ended.
   */
  run(run: bigint, signal: AbortSignal | undefined): Promise<RunResult>;
  /** Ends its threads and frees its memory, that of all arenas included. No run may be under way. */
  close(): void;
}

export interface EngineOptions {
  readonly threads: number;
  /** Name of an instruction set; the best there is by default. */
  readonly set?: string | undefined;
}

/** Instruction sets of this library, best first, by their number there; null for those that do not run here. */
function allSets(library: Library): readonly (string | null)[] {
  const sets: (string | null)[] = [];
  for (let name = library.setName(0); name !== null; name = library.setName(sets.length)) {
    sets.push(library.setRunsHere(sets.length) !== 0 ? name : null);
  }
  return sets;
}

/**
 * Names of the instruction sets that run here, best first.
 *
 * @throws {PolyllamaError} `ERR_UNSUPPORTED`, `ERR_BACKEND` where there is no library.
 */
export function instructionSets(): readonly string[] {
  return allSets(loadLibrary()).filter((name) => name !== null);
}

/**
 * Starts an engine.
 *
 * @throws {OptionError} where the instruction set is unknown or does not run here.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED`, `ERR_BACKEND` where there is no library; `ERR_BACKEND` where the system
 * refuses threads or memory.
 */
export function openEngine({ threads, set }: EngineOptions): Engine {
  const library = loadLibrary();
  const sets = allSets(library);
  const number = set === undefined ? sets.findIndex((name) => name !== null) : sets.indexOf(set);
  const name = sets[number];
  if (name === undefined || name === null) {
    const expected = sets.filter((known) => known !== null).join(", ");
    throw new OptionError(`The instruction set ${set} does not run here; ${expected} do.`, {
      option: "set",
      expected,
      value: set,
    });
  }
  const device = library.open(number, threads);
  if (device === null) {
    throw new PolyllamaError("ERR_BACKEND", `The system refuses ${threads} threads, or memory for them.`);
  }
  const control = new Uint32Array(library.view(library.address(device, 0), 12)); // abort, notFinite, unread
  return {
    set: name,
    library: library.path,
    threads,
    allocate: (bytes, what) => allocate(library, device, bytes, what),
    // on Windows descriptors are those of Node's own C library
    ...(process.platform !== "win32" && {
      map(bytes, { file, writable }) {
        const arena = library.map(device, file, BigInt(bytes), Number(writable));
        return arena === 0 ? undefined : arenaOf(library, device, arena, bytes);
      },
    }),
    async run(run, signal) {
      signal?.throwIfAborted();
      control.fill(0);
      const abort = (): void => {
        control[0] = 1;
      };
      signal?.addEventListener("abort", abort);
      try {
        await library.run(device, run);
      } finally {
        signal?.removeEventListener("abort", abort);
      }
      signal?.throwIfAborted();
      const [, notFinite = 0, unread = 0] = control;
      return { notFinite: notFinite !== 0, unread: unread === 0 ? undefined : unread - 1 };
    },
    close: () => library.close(device),
  };
}

function allocate(library: Library, device: bigint, bytes: number, what: string): Arena {
  const arena = library.allocate(device, BigInt(bytes));
  if (arena === 0) throw new MemoryError(what, bytes, "the system refused it");
  return arenaOf(library, device, arena, bytes);
}

function arenaOf(library: Library, device: Pointer, arena: number, bytes: number): Arena {
  const buffer = library.view(library.address(device, arena), bytes);
  return {
    ref: BigInt(arena) << 48n,
    bytes,
    bytesAt: (offset, count) => new Uint8Array(buffer, offset, count),
    wordsAt: (offset, count) => new Uint32Array(buffer, offset, count),
    floatsAt: (offset, count) => new Float32Array(buffer, offset, count),
    view: () => new DataView(buffer),
    [Symbol.dispose]: () => library.free(device, arena),
  };
}
