// Builds the emulation with g++ into a cache folder: the fake libcuda, and every kernel as a library that it loads.
// What is built is named by a hash of its sources, so that only what changed is compiled again.

import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync } from "node:zlib";
import { kernelFolder, kernelSources, sourceHash } from "../scripts/kernel-list.ts";
import { packImages } from "../src/driver/images.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const cache = fileURLToPath(new URL("../.cache/emulation/", import.meta.url));
const run = promisify(execFile);

const driverFlags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-fno-strict-aliasing", "-Wall", "-Wno-sign-compare"];
const kernelFlags = [
  ...[
    "-x",
    "c++",
    "-std=c++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-Wno-unknown-pragmas",
  ],
  // Every load and store becomes a call into the emulation.
  ...["-fsanitize=kernel-address", "--param=asan-stack=0", "--param=asan-globals=0"],
  "--param=asan-instrumentation-with-call-threshold=0",
];

/** Why the emulation cannot be built here, if so. */
export function emulationMissing(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "the emulation runs on Linux x64 only";
  try {
    execFileSync("g++", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "g++ is not installed";
  }
}

export interface Emulation {
  /** The fake libcuda. */
  readonly library: string;
  /** Folder of the kernels that it loads. */
  readonly kernels: string;
  /** Folder of images that name them. */
  readonly images: string;
  readonly control: Control;
}

/** The fake driver's own functions. */
export interface Control {
  /** Forgets everything and sets a card of capability 9.0 with 16 GiB and a driver of 13.0. */
  reset(): void;
  card(card: { driver?: number; count?: number; major?: number; minor?: number; memory?: number }): void;
  /** In which order threads and blocks run. */
  order(order: "forward" | "backward" | "random"): void;
  /** Lets a call fail, after so many that succeed. */
  fail(call: string, after: number, code: number): void;
  /** Lets so many questions whether an event is done be answered with no, or until a thread waits for one. */
  busy(questions: number): void;
  /** Calls since the last time, one a line; starts the log. */
  log(): string[];
  /** What kernels did wrong. */
  reports(): string;
  /** Handles and memory that are not given back. */
  live(): number;
  /** Counts the bytes that kernels load from so many bytes at an address, from now on. */
  watch(address: bigint, bytes: number): void;
  /** How many these were. */
  loaded(): number;
}

/**
 * Builds what is missing. `sources` is a folder of kernels, by default those of the package; `wanted` leaves some out.
 */
export async function buildEmulation(
  sources: string = kernelFolder,
  wanted: (name: string) => boolean = () => true,
): Promise<Emulation> {
  mkdirSync(cache, { recursive: true });
  const driverSources = ["emulation.h", "runtime.h", "emulation.cpp", "cuda.cpp"].map((name) => join(folder, name));
  const library = join(cache, `libcuda-${hashOf(driverFlags, driverSources)}.so`);
  const objects = join(cache, hashOf(kernelFlags, driverSources.slice(0, 1)));
  mkdirSync(objects, { recursive: true });
  const release = await lock(join(cache, "lock"));
  try {
    if (!existsSync(library)) {
      await compile([...driverFlags, ...driverSources.slice(2), "-ldl"], library);
    }
    // Objects are named by their hashes; a set of them has links named by the kernels.
    const kernels = kernelSources(sources)
      .filter(({ name }) => wanted(name))
      .map((kernel) => ({ ...kernel, hash: sourceHash(kernel, kernelFlags) }));
    const set = createHash("sha256")
      .update(JSON.stringify(kernels.map((kernel) => kernel.hash)))
      .digest("hex");
    const target = join(objects, `set-${set.slice(0, 16)}`);
    if (!existsSync(target)) {
      const queue = [...kernels];
      const worker = async (): Promise<void> => {
        for (let kernel = queue.shift(); kernel !== undefined; kernel = queue.shift()) {
          const path = join(objects, `${kernel.hash}.so`);
          if (existsSync(path)) continue;
          const defines = kernel.defines.map((define) => `-D${define}`);
          const include = `-I${folder}`;
          await compile([...kernelFlags, include, ...defines, kernel.path], path);
        }
      };
      await Promise.all([worker(), worker()]);
      const made = mkdtempSync(join(objects, "making-"));
      for (const { name, hash: object } of kernels)
        symlinkSync(join(objects, `${object}.so`), join(made, `${name}.so`));
      const image = (name: string) => `.version 7.8\n.target sm_75\n// polyllama-kernel:${name}:emulated:\n`;
      for (const capability of [75, 90]) {
        const images = new Map(
          kernels
            .filter(({ least }) => least <= capability)
            .map(({ name, hash: object }) => [name, { hash: object, bytes: new TextEncoder().encode(image(name)) }]),
        );
        const packed = brotliCompressSync(packImages(images));
        for (const archive of [`sm_${capability}`, `compute_${capability === 90 ? 80 : 75}`]) {
          writeFileSync(join(made, `${archive}.br`), packed);
        }
      }
      renameSync(made, target);
    }
    return { library, kernels: target, images: target, control: openControl(library, target) };
  } finally {
    release();
  }
}

function hashOf(flags: readonly string[], paths: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify(flags));
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

async function compile(flags: readonly string[], output: string): Promise<void> {
  const partial = `${output}.${process.pid}`;
  await run("g++", [...flags, "-o", partial], { timeout: 300_000, maxBuffer: 1 << 24 });
  renameSync(partial, output);
}

/** One process at a time builds; a lock older than five minutes is nobody's. */
async function lock(path: string): Promise<() => void> {
  for (let waited = 0; ; waited++) {
    try {
      mkdirSync(path);
      return () => rmSync(path, { recursive: true });
    } catch {
      if (waited > 1500) {
        rmSync(path, { recursive: true, force: true });
        waited = 0;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** What kernels find the emulation's functions in, for as long as this process lives: unloaded, others would not load. */
const globalLibraries = new Map<string, ReturnType<typeof import("koffi")["load"]>>();

function openControl(library: string, kernels: string): Control {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi"); // the module of that name
  const loaded = koffi.load(library, { global: true });
  globalLibraries.set(library, loaded);
  const reset = loaded.func("int emu_reset(const char *kernels)");
  const card = loaded.func("int emu_card(int driver, int count, int major, int minor, size_t memory)");
  const order = loaded.func("int emu_order(int order)");
  const fail = loaded.func("int emu_fail(const char *name, int after, int code)");
  const busy = loaded.func("int emu_busy(int questions)");
  const log = loaded.func("const char *emu_log()");
  const reports = loaded.func("const char *emu_reports()");
  const live = loaded.func("int emu_live()");
  const watch = loaded.func("int emu_watch(uint64_t address, size_t bytes)");
  const loadedBytes = loaded.func("double emu_loaded()");
  const control: Control = {
    reset: () => void reset(kernels),
    card: ({ driver = 13000, count = 1, major = 9, minor = 0, memory = 2 ** 34 }) =>
      void card(driver, count, major, minor, memory),
    order: (name) => void order(["forward", "backward", "random"].indexOf(name)),
    fail: (call, after, code) => void fail(call, after, code),
    busy: (questions) => void busy(questions),
    log: () => String(log()).split("\n").slice(0, -1),
    reports: () => String(reports()),
    live: () => Number(live()),
    watch: (address, bytes) => void watch(address, bytes),
    loaded: () => Number(loadedBytes()),
  };
  control.reset();
  return control;
}
