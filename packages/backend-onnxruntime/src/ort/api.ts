// ONNX Runtime's C interface, called through koffi. The interface is one table of function pointers whose order never
// changes between versions, so a function is its slot. Functions return a status pointer, null for success.
//
// Two rules keep the process alive. The library object must stay referenced, or koffi unloads the library under the
// decoded functions; `loaded` below is that reference. And neither koffi nor ONNX Runtime holds JavaScript memory:
// whoever passes a buffer keeps it referenced until the call, or the asynchronous run, has ended.

import { createRequire } from "node:module";
import { PolyllamaError } from "@polyllama/core";
import type { KoffiFunc, LibraryHandle } from "koffi";
import { requireLibrary } from "./library.ts";

/** A pointer that ONNX Runtime gave out. */
export type Handle = bigint;

type Koffi = typeof import("koffi");
type Status = Handle | null;
type KoffiFunction = KoffiFunc<(...args: readonly unknown[]) => never>;

/** Element types as ONNX numbers them. */
export const elementType = { f32: 1, u8: 2, i32: 6, i64: 7 } as const;
export type ElementType = keyof typeof elementType;

/** The version of the table that is asked for; later libraries provide it too. */
const apiVersion = 24;

/** The functions used here, and the objects that one process needs once. */
export interface Ort {
  readonly koffi: Koffi;
  readonly version: string;
  readonly path: string;
  readonly env: Handle;
  readonly cpuMemory: Handle;
  readonly allocator: Handle;
  createSessionOptions(): Handle;
  setIntraOpThreads(options: Handle, threads: number): void;
  setOptimizationLevel(options: Handle, level: number): void;
  setLogSeverity(options: Handle, level: number): void;
  disableMemoryPattern(options: Handle): void;
  disableArena(options: Handle): void;
  setConfig(options: Handle, key: string, value: string): void;
  releaseSessionOptions(options: Handle): void;
  /** Reads the weights too, so it takes seconds; the bytes are kept referenced until then. */
  createSession(model: Uint8Array, options: Handle): Promise<Handle>;
  releaseSession(session: Handle): void;
  createRunOptions(): Handle;
  terminate(options: Handle): void;
  releaseRunOptions(options: Handle): void;
  /** A tensor over the caller's memory, which must outlive it. */
  tensorOver(data: ArrayBufferView | Handle, bytes: number, shape: readonly number[], type: ElementType): Handle;
  /** A tensor in memory of its own, uninitialized. */
  allocateTensor(shape: readonly number[], type: ElementType): Handle;
  tensorData(value: Handle): Handle;
  releaseValue(value: Handle): void;
  /** Runs on a thread of libuv's pool. All arrays must stay referenced until the promise settles. */
  run(call: RunCall): Promise<void>;
}

/** Arguments of a run; names and values are pointers, in the same order. */
export interface RunCall {
  readonly session: Handle;
  readonly runOptions: Handle;
  readonly inputNames: BigUint64Array;
  readonly inputs: BigUint64Array;
  readonly outputNames: BigUint64Array;
  readonly outputs: BigUint64Array;
}

let loaded: { readonly ort: Ort; readonly library: LibraryHandle } | undefined;

/**
 * Loads the library once per process.
 *
 * @throws {PolyllamaError} `ERR_BACKEND`, `ERR_UNSUPPORTED`
 */
export function loadOrt(): Ort {
  loaded ??= load();
  return loaded.ort;
}

/** A NUL-terminated copy of a string, in memory that a pointer may refer to. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/**
 * ONNX Runtime reports its use to its maker: from Linux and macOS over the network, under an identifier that it leaves
 * in the user's cache folder, from the moment its environment is created. Only this variable prevents that, as the
 * library's own function comes too late; on Windows, where reports go to the system's log, the function does.
 */
function forbidTelemetry(koffi: Koffi): void {
  if (process.platform === "win32") return;
  // Not by process.env, which is a mere copy in worker threads.
  const setEnvironment = koffi.load(null).func("int setenv(const char *name, const char *value, int overwrite)");
  setEnvironment("ORT_DISABLE_TELEMETRY", "1", 1);
}

function load(): { ort: Ort; library: LibraryHandle } {
  const { path } = requireLibrary();
  let koffi: Koffi;
  let library: LibraryHandle;
  try {
    // Required here, not imported above, so that a machine without koffi's binary can still import this package.
    koffi = createRequire(import.meta.url)("koffi") as Koffi; // the module of that name
    forbidTelemetry(koffi);
    library = koffi.load(path);
  } catch (cause) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      `The onnxruntime backend cannot load ${path}: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "Reinstall onnxruntime-node and koffi for this platform, or choose another backend.",
      { cause },
    );
  }
  const { decode, proto } = koffi;
  const base: Handle = library.func("void *OrtGetApiBase(void)")();
  const version: string = decode(decode(base, 8, "void *"), proto("const char *OrtGetVersionString()"))();
  const table: Handle | null = decode(decode(base, 0, "void *"), proto("void *OrtGetApi(uint32_t v)"))(apiVersion);
  if (table === null) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      `${path} is ONNX Runtime ${version}, which lacks version ${apiVersion} of its interface. Install a newer onnxruntime-node.`,
    );
  }

  // Callers give each function's C parameters and its type here; koffi itself is untyped.
  const slot = (index: number, result: string, parameters: string): KoffiFunction =>
    decode(decode(table, index * 8, "void *"), proto(`${result} OrtSlot${index}(${parameters})`));
  const errorCode: (status: Handle) => number = slot(1, "int", "void *s");
  const errorMessage: (status: Handle) => string = slot(2, "const char *", "void *s");
  const releaseStatus: (status: Handle) => void = slot(93, "void", "void *s");
  const check = (status: Status): void => {
    if (status === null) return;
    const message = `ONNX Runtime: ${errorMessage(status)} (code ${errorCode(status)})`;
    releaseStatus(status);
    throw new PolyllamaError("ERR_BACKEND", message);
  };
  const action = (index: number, parameters: string): ((...args: readonly unknown[]) => void) => {
    const call = slot(index, "void *", parameters);
    return (...args) => check(call(...args));
  };
  const creator = (index: number, parameters: string): ((...args: readonly unknown[]) => Handle) => {
    const call = slot(index, "void *", `${parameters}${parameters === "" ? "" : ", "}_Out_ void **result`);
    return (...args) => {
      const result: [Handle | null] = [null];
      check(call(...args, result));
      if (result[0] === null) throw new PolyllamaError("ERR_BACKEND", `ONNX Runtime: function ${index} gave nothing.`);
      return result[0];
    };
  };
  const release = (index: number): ((handle: Handle) => void) => slot(index, "void", "void *handle");

  const settle = (call: KoffiFunction, args: readonly unknown[]): Promise<void> =>
    new Promise((resolve, reject) => {
      call.async(...args, (failure: unknown, status: Status) => {
        try {
          if (failure) throw failure;
          check(status);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });

  const createSessionFromArray = slot(8, "void *", "void *env, void *data, size_t n, void *so, _Out_ void **result");
  const run = slot(
    9,
    "void *",
    "void *session, void *ro, void *inNames, void *ins, size_t ni, void *outNames, size_t no, void *outs",
  );
  const tensorWithData = creator(49, "void *info, void *data, size_t bytes, void *dims, size_t rank, int type");
  const tensorAllocated = creator(48, "void *allocator, void *dims, size_t rank, int type");
  const createEnv = creator(3, "int level, const char *id");
  const createMemoryInfo = creator(69, "int allocator, int memoryType");
  const defaultAllocator = creator(78, "");
  const dims = (shape: readonly number[]): BigInt64Array => BigInt64Array.from(shape, BigInt);
  const env = createEnv(3, "polyllama"); // 3: errors only
  action(6, "void *env")(env); // DisableTelemetryEvents

  const ort: Ort = {
    koffi,
    version,
    path,
    env,
    cpuMemory: createMemoryInfo(1, 0), // arena allocator, default memory: the process's own
    allocator: defaultAllocator(),
    createSessionOptions: creator(10, ""),
    setIntraOpThreads: action(24, "void *so, int n"),
    setOptimizationLevel: action(23, "void *so, int level"),
    setLogSeverity: action(22, "void *so, int level"),
    disableMemoryPattern: action(17, "void *so"),
    disableArena: action(19, "void *so"),
    setConfig: action(130, "void *so, const char *key, const char *value"),
    releaseSessionOptions: release(100),
    async createSession(model, options) {
      const result: [Handle | null] = [null];
      await settle(createSessionFromArray, [env, model, model.byteLength, options, result]);
      if (model.byteLength === 0 || result[0] === null)
        throw new PolyllamaError("ERR_BACKEND", "No session came back.");
      return result[0];
    },
    releaseSession: release(95),
    createRunOptions: creator(39, ""),
    terminate: action(46, "void *ro"),
    releaseRunOptions: release(97),
    tensorOver: (data, bytes, shape, type) =>
      tensorWithData(ort.cpuMemory, data, bytes, dims(shape), shape.length, elementType[type]),
    allocateTensor: (shape, type) => tensorAllocated(ort.allocator, dims(shape), shape.length, elementType[type]),
    tensorData: creator(51, "void *value"),
    releaseValue: release(96),
    run: (call) =>
      settle(run, [
        call.session,
        call.runOptions,
        call.inputNames,
        call.inputs,
        call.inputs.length,
        call.outputNames,
        call.outputs.length,
        call.outputs,
      ]),
  };
  return { ort, library };
}
