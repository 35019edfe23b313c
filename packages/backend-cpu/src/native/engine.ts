import { createRequire } from "node:module";
import { MemoryError, PolyllamaError } from "@polyllama/core";

export interface Arena extends Disposable {
  /** Number of the arena, in the upper 16 bits of references. */
  readonly ref: bigint;
  readonly bytes: number;
  /** A view of all of it. Take it anew for each use: the memory of WebAssembly moves. */
  readonly buffer: ArrayBuffer;
}

export interface Engine {
  readonly set: string;
  readonly threads: number;
  /** @throws {MemoryError} */
  allocate(bytes: number, what: string): Arena;
  /** One at a time. @throws the signal's reason, when the call has ended */
  run(run: bigint, signal: AbortSignal | undefined): Promise<{ readonly notFinite: boolean }>;
  /** No run is under way. */
  close(): void;
}

const koffi = createRequire(import.meta.url)("koffi");
const lib = koffi.load("/tmp/cpu-build/libpolyllama.so");
const f = {
  name: lib.func("const char *polyllama_set_name(uint32_t i)"),
  runs: lib.func("uint32_t polyllama_set_runs_here(uint32_t i)"),
  open: lib.func("void *polyllama_open(uint32_t set, uint32_t threads)"),
  close: lib.func("void polyllama_close(void *d)"),
  allocate: lib.func("uint32_t polyllama_allocate(void *d, uint64_t bytes)"),
  address: lib.func("void *polyllama_address(void *d, uint32_t arena)"),
  free: lib.func("void polyllama_free(void *d, uint32_t arena)"),
  run: lib.func("void polyllama_run(void *d, uint64_t run)"),
};

export function instructionSets(): readonly string[] {
  const names: string[] = [];
  for (let i = 0; ; i++) {
    const name = f.name(i);
    if (name === null) return names;
    if (f.runs(i)) names.push(name);
  }
}

export function openEngine({ threads, set }: { threads: number; set?: string | undefined }): Engine {
  let number = -1;
  for (let i = 0; f.name(i) !== null; i++)
    if (f.runs(i) && (set === undefined || f.name(i) === set)) {
      number = i;
      break;
    }
  const device = f.open(number, threads);
  if (device === null) throw new PolyllamaError("ERR_BACKEND", "no device");
  const control = new Int32Array(koffi.view(f.address(device, 0), 8));
  return {
    set: f.name(number),
    threads,
    allocate(bytes, what) {
      const arena = f.allocate(device, BigInt(bytes));
      if (arena === 0) throw new MemoryError(what, bytes, "none left");
      const address = f.address(device, arena);
      const buffer = koffi.view(address, bytes);
      return { ref: BigInt(arena) << 48n, bytes, buffer, [Symbol.dispose]: () => f.free(device, arena) };
    },
    async run(run, signal) {
      signal?.throwIfAborted();
      control[0] = 0;
      control[1] = 0;
      const abort = () => {
        control[0] = 1;
      };
      signal?.addEventListener("abort", abort);
      try {
        await new Promise<void>((resolve, reject) =>
          f.run.async(device, run, (error: unknown) => (error ? reject(error) : resolve())),
        );
      } finally {
        signal?.removeEventListener("abort", abort);
      }
      signal?.throwIfAborted();
      return { notFinite: control[1] !== 0 };
    },
    close() {
      f.close(device);
    },
  };
}

export const defaultThreads = (): number => 2;
