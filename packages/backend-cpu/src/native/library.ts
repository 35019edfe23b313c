// The library of kernels for this platform: compressed in the package, unpacked into the user's cache folder where the
// system's loader can read it. A copy there is used only if it is, byte for byte, what the package has; it comes by
// rename, so that nobody sees half of it. Where the cache cannot be written, or may not hold programs, a folder for
// temporary files serves.

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { environment, PolyllamaError, UnsupportedError } from "@polyllama/core";
import type { KoffiFunc, LibraryHandle } from "koffi";
import { structsHash } from "./structs-hash.ts";

type Koffi = typeof import("koffi");

/** A pointer that the library gave out. */
export type Pointer = bigint;

/** The library's functions; native/device.cpp says what they do. */
export interface Library {
  /** Where it was loaded from. */
  readonly path: string;
  setName(index: number): string | null;
  setRunsHere(index: number): number;
  open(set: number, threads: number): Pointer | null;
  close(device: Pointer): void;
  allocate(device: Pointer, bytes: bigint): number;
  map(device: Pointer, file: number, bytes: bigint, writable: number): number;
  address(device: Pointer, arena: number): Pointer;
  free(device: Pointer, arena: number): void;
  /** On a thread of libuv's pool. */
  run(device: Pointer, run: bigint): Promise<void>;
  /** Memory of the library as JavaScript sees it. */
  view(pointer: Pointer, bytes: number): ArrayBuffer;
}

export const libraryFolder: string = fileURLToPath(new URL("../../libraries/", import.meta.url));

/** How a platform calls a library. */
const endings: Readonly<Record<string, string>> = {
  "linux-x64": ".so",
  "linux-arm64": ".so",
  "win32-x64": ".dll",
  "darwin-arm64": ".dylib",
};

/** The library must stay referenced: koffi unloads it otherwise. */
let loaded: { readonly library: Library; readonly handle: LibraryHandle } | undefined;

/**
 * Loads the library, once per thread.
 *
 * @throws {UnsupportedError} where there is none for this platform.
 * @throws {PolyllamaError} `ERR_BACKEND` where it cannot be loaded.
 */
export function loadLibrary(): Library {
  loaded ??= load(`${process.platform}-${process.arch}`);
  return loaded.library;
}

/**
 * The library for a platform, unpacked.
 *
 * @throws {UnsupportedError} where there is none.
 * @throws {PolyllamaError} `ERR_BACKEND` where the package's file is missing or damaged.
 */
export function unpackLibrary(platform: string, folder: string = libraryFolder): Uint8Array {
  if (endings[platform] === undefined) {
    const known = Object.keys(endings).join(", ");
    throw new UnsupportedError(
      `@polyllama/backend-cpu has no kernels for ${platform}; it has them for ${known}`,
      "Choose another backend: onnxruntime() of @polyllama/backend-onnxruntime runs on processors, too.",
    );
  }
  const path = join(folder, `${platform}.br`);
  try {
    return brotliDecompressSync(readFileSync(path));
  } catch (cause) {
    throw new PolyllamaError("ERR_BACKEND", `The kernels at ${path} cannot be read. Install the package again.`, {
      cause,
    });
  }
}

/** Where libraries are unpacked; undefined where the user has no home folder. */
function unpackedFolder(): string | undefined {
  try {
    switch (process.platform) {
      case "darwin":
        return join(homedir(), "Library", "Caches", "polyllama", "libraries");
      case "win32":
        return join(environment("LOCALAPPDATA") ?? join(homedir(), "AppData", "Local"), "polyllama", "libraries");
      default: {
        const given = environment("XDG_CACHE_HOME");
        const cache = given !== undefined && isAbsolute(given) ? given : join(homedir(), ".cache");
        return join(cache, "polyllama", "libraries");
      }
    }
  } catch {
    return undefined;
  }
}

/** The path in a folder of a file with these bytes, which is written where it is not there. @throws what writing throws */
export function keepFile(folder: string, bytes: Uint8Array, ending: string): string {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  const path = join(folder, `polyllama-cpu-${hash}${ending}`);
  if (hasBytes(path, bytes)) return path;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    writeFileSync(temporary, bytes, { mode: 0o700, flag: "wx" });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    if (!hasBytes(path, bytes)) throw error; // Windows refuses to replace a library in use: then another process wrote it
  }
  return path;
}

function hasBytes(path: string, bytes: Uint8Array): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false;
  }
}

function load(platform: string): { library: Library; handle: LibraryHandle } {
  const bytes = unpackLibrary(platform);
  const ending = endings[platform] ?? "";
  let koffi: Koffi;
  try {
    // Required here, not imported above, so that a machine without koffi's binary can still import this package.
    koffi = createRequire(import.meta.url)("koffi") as Koffi; // the module of that name
  } catch (cause) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      "The cpu backend cannot load koffi, which calls its kernels. Install koffi again for this platform, or choose " +
        "another backend.",
      { cause },
    );
  }
  const failures: unknown[] = [];
  for (const folder of [unpackedFolder, temporaryFolder]) {
    try {
      const parent = folder();
      if (parent === undefined) continue;
      const path = keepFile(parent, bytes, ending);
      const handle = koffi.load(path);
      return { library: bind(koffi, handle, path), handle };
    } catch (error) {
      if (error instanceof PolyllamaError) throw error;
      failures.push(error);
    }
  }
  const reasons = failures.map((error) => (error instanceof Error ? error.message : String(error))).join("; ");
  throw new PolyllamaError(
    "ERR_BACKEND",
    `The cpu backend cannot unpack or load its kernels (${reasons}). Set XDG_CACHE_HOME or TMPDIR to a folder that ` +
      "may hold programs, or choose another backend.",
    { cause: failures[0] },
  );
}

let temporary: string | undefined;

/** A folder of this process alone, removed at its end where the system allows that. */
function temporaryFolder(): string {
  if (temporary === undefined) {
    const made = mkdtempSync(join(tmpdir(), "polyllama-libraries-"));
    temporary = made;
    process.once("exit", () => {
      try {
        rmSync(made, { recursive: true, force: true });
      } catch {
        // Windows keeps a library that is loaded
      }
    });
  }
  return temporary;
}

function bind(koffi: Koffi, handle: LibraryHandle, path: string): Library {
  const structs: number = handle.func("uint32_t polyllama_structs()")();
  if (structs !== structsHash) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      "The cpu backend's kernels belong to another version of the package. Install it again; within the repository, " +
        "run `npm run build:kernels -- cpu`.",
    );
  }
  const run: KoffiFunc<(device: Pointer, run: bigint) => void> = handle.func(
    "void polyllama_run(void *device, uint64_t run)",
  );
  return {
    path,
    setName: handle.func("const char *polyllama_set_name(uint32_t index)"),
    setRunsHere: handle.func("uint32_t polyllama_set_runs_here(uint32_t index)"),
    open: handle.func("void *polyllama_open(uint32_t set, uint32_t threads)"),
    close: handle.func("void polyllama_close(void *device)"),
    allocate: handle.func("uint32_t polyllama_allocate(void *device, uint64_t bytes)"),
    map: handle.func("uint32_t polyllama_map(void *device, uint32_t file, uint64_t bytes, uint32_t writable)"),
    address: handle.func("void *polyllama_address(void *device, uint32_t arena)"),
    free: handle.func("void polyllama_free(void *device, uint32_t arena)"),
    run: (device, at) =>
      new Promise((resolve, reject) => {
        run.async(device, at, (error: unknown) => (error ? reject(error) : resolve()));
      }),
    view: (pointer, bytes) => koffi.view(pointer, bytes),
  };
}
