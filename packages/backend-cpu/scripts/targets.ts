// What libraries are built of: for each target the compiler, its flags, and the instruction sets that the kernels are
// compiled for. A target's hash covers all sources and its flags; the library carries it, so that a test can tell
// without a compiler whether they belong together.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const nativeFolder: string = fileURLToPath(new URL("../native/", import.meta.url));

/** One file to compile. */
export interface Unit {
  /** Of the object file. */
  readonly name: string;
  readonly source: string;
  readonly flags: readonly string[];
}

export interface Target {
  readonly name: string;
  readonly compiler: string;
  /** For compiling and linking. */
  readonly machine: readonly string[];
  readonly flags: readonly string[];
  readonly units: readonly Unit[];
  /** What links, where the compiler does not call it. */
  readonly linker?: string;
  readonly link: readonly string[];
}

/** Products and sums fuse where that is written, and nowhere else; nothing may throw or call a library. */
const common = [
  "-std=c++17",
  "-O3",
  "-fvisibility=hidden",
  "-fno-exceptions",
  "-fno-rtti",
  "-fno-threadsafe-statics",
  "-fno-math-errno",
  "-ffp-contract=off",
  "-ffunction-sections",
  "-fdata-sections",
  "-fno-stack-protector",
  "-fno-unwind-tables",
  "-fno-asynchronous-unwind-tables",
  "-fno-ident",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wno-unused-function",
];

/** Kernels are compiled once for each set; nothing else has its flags, so that no function leaks from one to another. */
function kernels(name: string, ...flags: readonly string[]): Unit {
  return { name, source: "kernels/kernels.cpp", flags: [`-DKERNELS=${name}`, ...flags] };
}

function shared(platform: string): readonly Unit[] {
  const names = ["device", "files", "read", "repack", "sample", `platform_${platform}`];
  return names.map((name) => ({ name, source: `${name}.cpp`, flags: [] }));
}

const avx2 = ["-DKERNELS_AVX2", "-mavx2", "-mfma", "-mf16c"];
const avx512 = ["f", "bw", "vl", "dq", "vnni"].map((part) => `-mavx512${part}`);
const x64: readonly Unit[] = [
  kernels("plain"),
  kernels("avx2", ...avx2),
  kernels("avx_vnni", ...avx2, "-DKERNELS_AVX_VNNI", "-mavxvnni"),
  kernels("avx512_vnni", "-DKERNELS_AVX512", ...avx2.slice(1), ...avx512, "-mprefer-vector-width=512"),
];

const arm64: readonly Unit[] = [
  kernels("plain"),
  kernels("neon", "-DKERNELS_NEON"),
  kernels("neon_dot", "-DKERNELS_NEON", "-DKERNELS_DOT", "-march=armv8.2-a+dotprod"),
  kernels("neon_i8mm", "-DKERNELS_NEON", "-DKERNELS_DOT", "-DKERNELS_I8MM", "-march=armv8.2-a+dotprod+i8mm"),
];

/**
 * No library is named as needed: what is missing (memory and threads of the C library) is found in the program that
 * loads this, whichever C library it has. Once loaded it stays, as its threads may outlive whoever loaded it.
 */
const elf = [
  "-shared",
  "-nostdlib",
  "-fuse-ld=lld-14",
  "-Wl,-z,undefs",
  "-Wl,-z,nodelete",
  "-Wl,--gc-sections",
  "-Wl,--strip-all",
];

/** Of memory 4 MiB are there from the start: the stack, and what is not on it. */
function wasm(name: string, features: readonly string[], memory: readonly string[]): Target {
  return {
    name,
    compiler: "clang++-14",
    machine: ["--target=wasm32"],
    flags: ["-nostdinc++", "-nostdlibinc", "-msimd128", "-mbulk-memory", "-mmutable-globals", ...features, ...common],
    units: [kernels("wasm", "-DKERNELS_WASM"), ...shared("wasm")],
    linker: "wasm-ld-14",
    link: [
      ...["--no-entry", "--export-dynamic", "--gc-sections", "--strip-all", "--stack-first"],
      ...["-z", "stack-size=1048576", "--initial-memory=4194304", "--max-memory=4294967296", ...memory],
    ],
  };
}

export const targets: readonly Target[] = [
  {
    name: "linux-x64",
    compiler: "clang++-14",
    machine: ["--target=x86_64-linux-gnu"],
    flags: ["-fPIC", ...common],
    units: [...x64, ...shared("linux")],
    link: elf,
  },
  {
    name: "linux-arm64",
    compiler: "clang++-14",
    machine: ["--target=aarch64-linux-gnu"],
    // The atomics of ARMv8.0: helpers that choose are in a library that is not there.
    flags: ["-fPIC", "-mno-outline-atomics", ...common],
    units: [...arm64, ...shared("linux")],
    link: elf,
  },
  {
    name: "win32-x64",
    compiler: "clang++-14",
    machine: ["--target=x86_64-w64-windows-gnu"],
    flags: common,
    units: [...x64, ...shared("windows")],
    link: [
      ...["-shared", "-nostdlib", "-fuse-ld=lld-14", "-Wl,-e,DllMain", "-Wl,--gc-sections", "-Wl,--strip-all"],
      ...["-Wl,--no-insert-timestamp", "-lkernel32", "-lsynchronization"],
    ],
  },
  {
    name: "darwin-arm64",
    compiler: "clang++-14",
    machine: ["--target=arm64-apple-macos11"],
    flags: ["-nostdinc++", "-nostdlibinc", ...common],
    units: [...arm64, ...shared("darwin")],
    linker: "ld64.lld-14",
    link: [
      ...["-arch", "arm64", "-platform_version", "macos", "11.0", "11.0", "-dylib", "-adhoc_codesign"],
      ...["-install_name", "@rpath/libpolyllama.dylib", "-dead_strip", "-x", "libSystem.tbd"],
    ],
  },
  wasm("wasm32", [], []),
  wasm("wasm32-threads", ["-matomics"], ["--shared-memory", "--import-memory", "--export=__stack_pointer"]),
];

/** A target's file in libraries/. Pages have no Brotli, and what serves them compresses. */
export function fileName({ name }: Target): string {
  return name.startsWith("wasm32") ? `${name}.wasm` : `${name}.br`;
}

/** Sources, by path. */
function sources(): readonly (readonly [string, string])[] {
  return readdirSync(nativeFolder, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => /\.(h|cpp|tbd)$/.test(path) && !path.startsWith("test/"))
    .sort()
    .map((path) => [path, readFileSync(join(nativeFolder, path), "utf8").replaceAll("\r\n", "\n")] as const);
}

/** What a library says about itself when it was built for a target of the sources there are. */
export function sourcesOf(target: Target): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([target, sources()]))
    .digest("hex");
  return `${target.name}:${hash.slice(0, 32)}`;
}
