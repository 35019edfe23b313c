// NVIDIA's driver interface (libcuda), called through koffi: the only native library that this backend needs, and part
// of every NVIDIA driver. Handles and device addresses are 64-bit integers. Every function returns a CUresult, which
// becomes an error that names the call and the result, and says what to do about it.
//
// koffi holds no JavaScript memory: whoever passes a buffer keeps it referenced until the call has ended; parameters of
// launches are copied by the driver during the call.

import { createRequire } from "node:module";
import { PolyllamaError } from "@polyllama/core";
import type { KoffiFunc, LibraryHandle } from "koffi";

type Koffi = typeof import("koffi");

/** A handle or device address that the driver gave out. */
export type Handle = bigint;

/** The driver calls used here; they throw where the driver reports an error. */
export interface Driver {
  readonly path: string;
  /** As the driver counts: 13000 is CUDA 13.0. */
  readonly version: number;
  deviceCount(): number;
  deviceName(device: number): string;
  deviceAttribute(device: number, attribute: number): number;
  retainContext(device: number): Handle;
  releaseContext(device: number): void;
  useContext(context: Handle): void;
  memoryInfo(): { readonly free: number; readonly total: number };
  allocate(bytes: number): Handle;
  free(address: Handle): void;
  /** Memory of the host that the card reads and writes by itself. */
  allocateHost(bytes: number): HostMemory;
  freeHost(memory: HostMemory): void;
  copyToDevice(to: Handle, from: Handle, bytes: number, stream: Handle): void;
  copyToHost(to: Handle, from: Handle, bytes: number, stream: Handle): void;
  copyOnDevice(to: Handle, from: Handle, bytes: number, stream: Handle): void;
  createStream(): Handle;
  destroyStream(stream: Handle): void;
  createEvent(): Handle;
  destroyEvent(event: Handle): void;
  recordEvent(event: Handle, stream: Handle): void;
  /** Whether all that was recorded is done. */
  eventDone(event: Handle): boolean;
  /** Lets a thread wait for an event. @returns whether this driver does so on a thread that has no context. */
  awaitEvent(event: Handle): Promise<boolean>;
  loadModule(image: Uint8Array): Handle;
  unloadModule(module: Handle): void;
  functionOf(module: Handle, name: string): Handle;
  launch(kernel: Handle, grid: Grid, threads: number, parameters: ArrayBuffer, stream: Handle): void;
  beginCapture(stream: Handle): void;
  endCapture(stream: Handle): Handle;
  instantiateGraph(graph: Handle): Handle;
  launchGraph(graph: Handle, stream: Handle): void;
  destroyGraph(graph: Handle): void;
  destroyExecutableGraph(graph: Handle): void;
}

/** Blocks along x, y and z. */
export type Grid = readonly [number, number, number];

export interface HostMemory {
  readonly address: Handle;
  readonly bytes: ArrayBuffer;
}

/** Attributes of a device, as CUdevice_attribute numbers them. */
export const deviceAttribute = { multiprocessors: 16, major: 75, minor: 76 } as const;

/** Oldest driver whose PTX is at least ISA 7.8: that of CUDA 11.8. */
const oldestDriver = 11080;

/** @throws {PolyllamaError} `ERR_UNSUPPORTED` for a driver that loads none of the kernels. */
export function checkVersion({ path, version }: Driver): void {
  if (version >= oldestDriver) return;
  throw new PolyllamaError(
    "ERR_UNSUPPORTED",
    `The NVIDIA driver at ${path} is that of CUDA ${Math.floor(version / 1000)}.${(version % 1000) / 10}; 11.8 (driver 520) ` +
      "is the oldest that loads these kernels. Update the driver, or choose another backend.",
  );
}

const notReady = 600;
/** Results after which the context is of no use any more. */
const deadly: ReadonlySet<number> = new Set([214, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999]);

const loaded = new Map<string, { readonly driver: Driver; readonly library: LibraryHandle }>();

/** Names under which the driver's library goes. Tested: an emulation on Linux x64. */
function defaultLibraries(): readonly string[] {
  if (process.platform === "win32") return ["nvcuda.dll"];
  return ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];
}

/**
 * Loads the driver once per process and path.
 *
 * @throws {PolyllamaError} `ERR_UNSUPPORTED`: no driver, or no card.
 */
export function loadDriver(path?: string): Driver {
  const key = path ?? "";
  const known = loaded.get(key);
  if (known !== undefined) return known.driver;
  const made = load(path);
  loaded.set(key, made);
  return made.driver;
}

function load(path: string | undefined): { driver: Driver; library: LibraryHandle } {
  let koffi: Koffi;
  try {
    // Required here, not imported above, so that a machine without koffi's binary can still import this package.
    koffi = createRequire(import.meta.url)("koffi") as Koffi; // the module of that name
  } catch (cause) {
    throw new PolyllamaError("ERR_BACKEND", "The CUDA backend needs the package koffi; install the packages again.", {
      cause,
    });
  }
  const candidates = path === undefined ? defaultLibraries() : [path];
  for (const candidate of candidates) {
    let library: LibraryHandle;
    try {
      library = koffi.load(candidate);
    } catch {
      continue;
    }
    return { driver: bind(koffi, library, candidate), library };
  }
  const platform =
    process.platform === "darwin" ? " There is none for macOS: use the webgpu or onnxruntime backend." : "";
  throw new PolyllamaError(
    "ERR_UNSUPPORTED",
    `No NVIDIA driver: ${candidates.join(", ")} cannot be loaded.${platform} Install NVIDIA's driver (no CUDA toolkit is ` +
      "needed), in a container run with --gpus all, or choose another backend.",
  );
}

function bind(koffi: Koffi, library: LibraryHandle, path: string): Driver {
  // Callers give each function's C parameters here; koffi itself is untyped.
  type Call = KoffiFunc<(...args: readonly unknown[]) => number>;
  // see above
  const raw = (name: string, parameters: string): Call => library.func(`int ${name}(${parameters})`) as Call;
  const errorName = raw("cuGetErrorName", "int code, _Out_ const char **name");
  const check = (name: string, code: number): void => {
    if (code !== 0) throw driverError(name, code, nameOf(code));
  };
  const nameOf = (code: number): string => {
    const name: [string | null] = [null];
    return errorName(code, name) === 0 && name[0] !== null ? name[0] : `CUresult ${code}`;
  };
  const action = (name: string, parameters: string): ((...args: readonly unknown[]) => void) => {
    const call = raw(name, parameters);
    return (...args) => check(name, call(...args));
  };
  const word = new BigUint64Array(2);
  const creator = (name: string, parameters: string): ((...args: readonly unknown[]) => Handle) => {
    const call = raw(name, `void *result${parameters === "" ? "" : ", "}${parameters}`);
    return (...args) => {
      word[0] = 0n;
      check(name, call(word, ...args));
      return word[0]!;
    };
  };
  const integer = (name: string, parameters: string): ((...args: readonly unknown[]) => number) => {
    const create = creator(name, parameters);
    return (...args) => Number(BigInt.asIntN(32, create(...args)));
  };

  action("cuInit", "uint32_t flags")(0);
  const version = integer("cuDriverGetVersion", "");
  const deviceName = raw("cuDeviceGetName", "void *name, int length, int device");
  const memoryInfo = raw("cuMemGetInfo_v2", "void *free, void *total");
  const allocateHost = creator("cuMemAllocHost_v2", "size_t bytes");
  const freeHost = action("cuMemFreeHost", "uint64_t address");
  const eventQuery = raw("cuEventQuery", "uint64_t event");
  const eventSynchronize = raw("cuEventSynchronize", "uint64_t event");
  const getFunction = creator("cuModuleGetFunction", "uint64_t module, const char *name");
  const loadData = creator("cuModuleLoadData", "void *image");
  const launch = raw(
    "cuLaunchKernel",
    "uint64_t f, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx, uint32_t by, uint32_t bz, uint32_t shared, uint64_t stream, void *parameters, void *extra",
  );
  const launchPointer = new BigUint64Array(1);
  let launching: ArrayBuffer | undefined; // owned here, so that it outlives the call
  const beginCapture = action("cuStreamBeginCapture_v2", "uint64_t stream, int mode");
  const endCapture = raw("cuStreamEndCapture", "uint64_t stream, void *graph");
  const instantiate = creator("cuGraphInstantiateWithFlags", "uint64_t graph, uint64_t flags");
  const createStream = creator("cuStreamCreate", "uint32_t flags");
  const createEvent = creator("cuEventCreate", "uint32_t flags");
  const addresses = new BigUint64Array(1);

  return {
    path,
    get version() {
      return version();
    },
    deviceCount: () => integer("cuDeviceGetCount", "")(),
    deviceName(device) {
      const text = new Uint8Array(256);
      check("cuDeviceGetName", deviceName(text, text.length, device));
      return new TextDecoder().decode(text.subarray(0, Math.max(0, text.indexOf(0))));
    },
    deviceAttribute: (device, attribute) =>
      integer("cuDeviceGetAttribute", "int attribute, int device")(attribute, device),
    retainContext: creator("cuDevicePrimaryCtxRetain", "int device"),
    releaseContext: action("cuDevicePrimaryCtxRelease_v2", "int device"),
    useContext: action("cuCtxSetCurrent", "uint64_t context"),
    memoryInfo() {
      check("cuMemGetInfo", memoryInfo(word, word.subarray(1)));
      return { free: Number(word[0]), total: Number(word[1]) };
    },
    allocate: creator("cuMemAlloc_v2", "size_t bytes"),
    free: action("cuMemFree_v2", "uint64_t address"),
    allocateHost(bytes) {
      const address = allocateHost(bytes);
      return { address, bytes: koffi.view(address, bytes) };
    },
    freeHost: ({ address }) => freeHost(address),
    copyToDevice: action("cuMemcpyHtoDAsync_v2", "uint64_t to, uint64_t from, size_t bytes, uint64_t stream"),
    copyToHost: action("cuMemcpyDtoHAsync_v2", "uint64_t to, uint64_t from, size_t bytes, uint64_t stream"),
    copyOnDevice: action("cuMemcpyDtoDAsync_v2", "uint64_t to, uint64_t from, size_t bytes, uint64_t stream"),
    createStream: () => createStream(1), // does not wait for the default stream
    destroyStream: action("cuStreamDestroy_v2", "uint64_t stream"),
    createEvent: () => createEvent(3), // takes no times, and a thread that waits for it sleeps
    destroyEvent: action("cuEventDestroy_v2", "uint64_t event"),
    recordEvent: action("cuEventRecord", "uint64_t event, uint64_t stream"),
    eventDone(event) {
      const code = eventQuery(event);
      if (code === notReady) return false;
      check("cuEventQuery", code);
      return true;
    },
    awaitEvent: (event) =>
      new Promise((resolve) => {
        eventSynchronize.async(event, (failure: unknown, code: number) => resolve(!failure && code === 0));
      }),
    loadModule: (image) => loadData(image),
    unloadModule: action("cuModuleUnload", "uint64_t module"),
    functionOf: getFunction,
    launch(kernel, [x, y, z], threads, parameters, stream) {
      launching = parameters;
      launchPointer[0] = koffi.address(launching);
      check("cuLaunchKernel", launch(kernel, x, y, z, threads, 1, 1, 0, stream, launchPointer, null));
    },
    beginCapture: (stream) => beginCapture(stream, 1), // this thread's calls
    endCapture(stream) {
      check("cuStreamEndCapture", endCapture(stream, addresses));
      return addresses[0]!;
    },
    instantiateGraph: (graph) => instantiate(graph, 0),
    launchGraph: action("cuGraphLaunch", "uint64_t graph, uint64_t stream"),
    destroyGraph: action("cuGraphDestroy", "uint64_t graph"),
    destroyExecutableGraph: action("cuGraphExecDestroy", "uint64_t graph"),
  };
}

function driverError(call: string, code: number, name: string): PolyllamaError {
  const what = `CUDA: ${call.replace(/_v2$/, "")} returned ${name} (${code})`;
  if (code === 2) {
    return new PolyllamaError(
      "ERR_MEMORY",
      `${what}: the card has not the memory that was asked for. Use a smaller context, a cache in f16, a stronger ` +
        "quantization or a smaller model, or close what else uses the card.",
    );
  }
  if (code === 100 || code === 101) {
    return new PolyllamaError(
      "ERR_UNSUPPORTED",
      `${what}: there is a driver but no card that it can use. Check nvidia-smi and CUDA_VISIBLE_DEVICES.`,
    );
  }
  if (deadly.has(code)) {
    return new PolyllamaError(
      "ERR_DEVICE_LOST",
      `${what}: a kernel or the card failed, and what was computed on it is gone. Load the model again; if it happens again, ` +
        "check the card with nvidia-smi.",
    );
  }
  return new PolyllamaError("ERR_BACKEND", `${what}.`);
}
