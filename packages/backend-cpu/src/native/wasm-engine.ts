// The engine in WebAssembly: for pages, and for tests in Node. Two builds: one thread, which is the caller's; and
// several, each a worker with an instance of its own over memory that they share, while the caller only waits for a
// message. Memory is that of WebAssembly with 32-bit addresses, 4 GiB at most.

import { MemoryError, OptionError, PolyllamaError } from "@polyllama/core";
import type { Arena, Engine, EngineOptions } from "./engine.ts";
import { structsHash } from "./structs-hash.ts";
import type { ThreadMessage } from "./wasm-thread.ts";

/** Most bytes that an engine in WebAssembly can have, its own few included. */
export const wasmMemory: number = 2 ** 32;

/** A worker that serves as a thread. */
export interface WasmThread {
  post(message: ThreadMessage): void;
  /** Whether a program may end only when it has answered. */
  keepAlive(wanted: boolean): void;
  stop(): void;
}

/** What an engine asks of where it runs. */
export interface WasmHost {
  /** @throws {PolyllamaError} `ERR_BACKEND` where the file cannot be read */
  compile(build: "wasm32" | "wasm32-threads"): Promise<WebAssembly.Module>;
  /**
   * Starts a worker that runs wasm-thread.ts; absent where memory cannot be shared.
   *
   * @param answered Called for each message of it. @param failed Called once, with what went wrong.
   */
  readonly startThread?: (answered: () => void, failed: (reason: string) => void) => WasmThread;
}

/** Functions of a build; pointers are numbers. */
interface Functions {
  polyllama_structs(): number;
  polyllama_open(set: number, threads: number): number;
  polyllama_allocate(device: number, bytes: bigint): number;
  polyllama_address(device: number, arena: number): number;
  polyllama_free(device: number, arena: number): void;
  polyllama_run(device: number, run: bigint): void;
  polyllama_stack(bytes: number): number;
}

/** Of each thread but the caller's. */
const stackBytes = 1 << 20;
const initialPages = 64;

/**
 * Starts an engine.
 *
 * @throws {OptionError} for another instruction set than "wasm".
 * @throws {PolyllamaError} `ERR_BACKEND` where it cannot be fetched or started. @throws {MemoryError}
 */
export async function openWasmEngine({ threads, set = "wasm" }: EngineOptions, host: WasmHost): Promise<Engine> {
  if (set !== "wasm") {
    throw new OptionError(`The instruction set ${set} does not run here; wasm does.`, {
      option: "instructionSet",
      expected: "wasm",
      value: set,
    });
  }
  const { startThread } = host;
  return threads > 1 && startThread !== undefined
    ? openThreads(await host.compile("wasm32-threads"), threads, startThread)
    : openOne(await host.compile("wasm32"));
}

async function openOne(module: WebAssembly.Module): Promise<Engine> {
  const { exports } = await WebAssembly.instantiate(module, {});
  const functions = exports as unknown as Functions; // what native/device.cpp exports
  const memory = exports["memory"] as WebAssembly.Memory; // the linker's
  const device = openDevice(functions, 1);
  return engineOver(functions, memory, device, 1, {
    async run(run) {
      await new Promise((resolve) => setTimeout(resolve)); // whoever wants to abort has a turn
      return () => functions.polyllama_run(device, run);
    },
    close() {},
  });
}

async function openThreads(
  module: WebAssembly.Module,
  threads: number,
  startThread: NonNullable<WasmHost["startThread"]>,
): Promise<Engine> {
  const memory = sharedMemory();
  const bodies: { readonly body: number; readonly argument: number }[] = [];
  const start = (body: number, argument: number): void => void bodies.push({ body, argument });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory }, polyllama: { start } });
  const functions = exports as unknown as Functions; // what native/device.cpp and platform_wasm.cpp export
  const device = openDevice(functions, threads);
  const team = new Team(module, memory, functions, device, startThread);
  try {
    await team.start(bodies);
  } catch (error) {
    team.stop();
    throw error;
  }
  return engineOver(functions, memory, device, threads, {
    async run(run) {
      await team.run(run);
      return () => undefined;
    },
    close: () => team.stop(),
  });
}

/** As much as the page gives: a limit has to be named, and some systems reserve it at once. */
function sharedMemory(): WebAssembly.Memory {
  for (let maximum = 65536; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: initialPages, maximum, shared: true });
    } catch (cause) {
      if (maximum > 4096) continue;
      throw new PolyllamaError("ERR_BACKEND", "The page gives no memory that threads can share.", { cause });
    }
  }
}

function openDevice(functions: Functions, threads: number): number {
  if (functions.polyllama_structs() >>> 0 !== structsHash) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      "The cpu backend's WebAssembly belongs to another version of the package. Install it again.",
    );
  }
  const device = functions.polyllama_open(0, threads) >>> 0;
  if (device === 0) throw new MemoryError("WebAssembly for the kernels", threads << 22, "the page refused it");
  return device;
}

/** Workers that compute together. The first one is told of runs and answers; the others wait for it in the library. */
class Team {
  readonly #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory;
  readonly #functions: Functions;
  readonly #device: number;
  readonly #startThread: NonNullable<WasmHost["startThread"]>;
  readonly #threads: WasmThread[] = [];
  #answered: (() => void) | undefined;
  #failed: ((error: PolyllamaError) => void) | undefined;
  #failure: PolyllamaError | undefined;

  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    functions: Functions,
    device: number,
    startThread: NonNullable<WasmHost["startThread"]>,
  ) {
    this.#module = module;
    this.#memory = memory;
    this.#functions = functions;
    this.#device = device;
    this.#startThread = startThread;
  }

  /** Resolves when the first one has its instance; the others may come later, as runs wait for them. */
  async start(bodies: readonly { readonly body: number; readonly argument: number }[]): Promise<void> {
    await this.#ask(() => {
      for (const work of [undefined, ...bodies]) {
        const stack = this.#functions.polyllama_stack(stackBytes) >>> 0;
        if (stack === 0) throw new MemoryError("stacks of threads", stackBytes, "the page refused it");
        const own = this.#startThread(
          () => work === undefined && this.#answered?.(),
          (reason) => this.#fail(reason),
        );
        this.#threads.push(own);
        own.keepAlive(work === undefined);
        own.post({ module: this.#module, memory: this.#memory, stack, device: this.#device, work });
      }
    });
  }

  run(run: bigint): Promise<void> {
    return this.#ask(() => this.#threads[0]?.post({ run }));
  }

  stop(): void {
    this.#fail("the engine was closed");
    for (const thread of this.#threads) thread.stop();
  }

  async #ask(post: () => void): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const answer = new Promise<void>((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
    });
    answer.catch(() => undefined); // it is awaited below, unless posting fails
    post();
    this.#threads[0]?.keepAlive(true);
    try {
      await answer;
    } finally {
      this.#answered = undefined;
      this.#failed = undefined;
      this.#threads[0]?.keepAlive(false);
    }
  }

  #fail(reason: string): void {
    this.#failure ??= new PolyllamaError("ERR_BACKEND", `A thread of the cpu backend failed: ${reason}.`);
    this.#failed?.(this.#failure);
  }
}

interface Runner {
  /** Resolves when a run has ended, or with what is still to be done for it. */
  run(run: bigint): Promise<() => void>;
  close(): void;
}

function engineOver(
  functions: Functions,
  memory: WebAssembly.Memory,
  device: number,
  threads: number,
  runner: Runner,
): Engine {
  const control = functions.polyllama_address(device, 0) >>> 0;
  const flags = (): Uint32Array => new Uint32Array(memory.buffer, control, 2); // abort, notFinite
  return {
    set: "wasm",
    library: threads > 1 ? "wasm32-threads" : "wasm32",
    threads,
    allocate(bytes, what) {
      const arena = functions.polyllama_allocate(device, BigInt(bytes)) >>> 0;
      if (arena === 0) throw new MemoryError(what, bytes, "WebAssembly has 4 GiB at most, and the page may give less");
      return arenaAt(functions, memory, device, arena, bytes);
    },
    async run(run, signal) {
      signal?.throwIfAborted();
      flags().fill(0);
      const abort = (): void => {
        flags()[0] = 1;
      };
      signal?.addEventListener("abort", abort);
      try {
        (await runner.run(run))();
      } finally {
        signal?.removeEventListener("abort", abort);
      }
      signal?.throwIfAborted();
      return { notFinite: flags()[1] !== 0, unread: undefined };
    },
    close: () => runner.close(),
  };
}

function arenaAt(
  functions: Functions,
  memory: WebAssembly.Memory,
  device: number,
  arena: number,
  bytes: number,
): Arena {
  const start = functions.polyllama_address(device, arena) >>> 0;
  return {
    ref: BigInt(arena) << 48n,
    bytes,
    bytesAt: (offset, count) => new Uint8Array(memory.buffer, start + offset, count),
    wordsAt: (offset, count) => new Uint32Array(memory.buffer, start + offset, count),
    floatsAt: (offset, count) => new Float32Array(memory.buffer, start + offset, count),
    view: () => new DataView(memory.buffer, start, bytes),
    [Symbol.dispose]: () => functions.polyllama_free(device, arena),
  };
}
