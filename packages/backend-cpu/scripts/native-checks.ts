// Builds the programs of native/test, which compare the library with double precision and see to its threads, for this
// machine's processor, with the kernels of some instruction sets alone.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Target, targets, type Unit } from "./targets.ts";

export const checks = ["check_runs", "check_steps", "check_training", "attention", "check_linear"] as const;
export type Check = (typeof checks)[number];

const host: Target | undefined = targets.find(({ name }) => name === `${process.platform}-${process.arch}`);

/** The target of this machine; undefined where its programs cannot be built here, and the reason. */
export function checkedTarget(): { readonly target: Target } | { readonly missing: string } {
  if (process.platform !== "linux" || host === undefined) {
    return { missing: `no checks for ${process.platform}-${process.arch}` };
  }
  const found = spawnSync(host.compiler, ["--version"]).status === 0;
  return found ? { target: host } : { missing: `no ${host.compiler} (Debian's clang-14)` };
}

/** A way to build: where sources lie, what is compiled, and where it goes. */
export interface Build {
  readonly target: Target;
  readonly native: string;
  readonly folder: string;
  /** Instruction sets that are compiled; others are left out. */
  readonly sets: readonly string[];
  /** Behind the target's own. */
  readonly flags: readonly string[];
  /** Memory is taken from the allocator, which sanitizers watch. */
  readonly watched?: boolean;
}

/** Units of the library, those of sets that are left out and of the platform replaced. */
export function unitsOf({ target, sets, watched }: Build): readonly Unit[] {
  return target.units.map((unit) => {
    if (unit.name === "platform_linux" && watched) return { ...unit, source: "test/platform_checked.cpp" };
    if (!isKernels(unit) || sets.includes(unit.name)) return unit;
    return { ...unit, source: "test/missing.cpp", flags: [`-DKERNELS=${unit.name}`] };
  });
}

export function isKernels(unit: Unit): boolean {
  return unit.source === "kernels/kernels.cpp";
}

/** Compiles one file. @throws {Error} with what the compiler says. */
export function compile(build: Build, { name, source, flags }: Unit): string {
  mkdirSync(build.folder, { recursive: true });
  const object = join(build.folder, `${name}.o`);
  const command = [...build.target.machine, ...build.target.flags, ...flags, ...build.flags];
  compiler(build, [...command, "-c", source, "-o", object]);
  return object;
}

/** Compiles a program of native/test, to be linked with the library's objects. */
export function compileCheck(build: Build, check: Check): string {
  return compile(
    { ...build, target: { ...build.target, flags: ["-std=c++17", "-ffp-contract=off", "-Wall", "-Wextra"] } },
    { name: check, source: `test/${check}.cpp`, flags: [] },
  );
}

export function link(build: Build, objects: readonly string[], name: string): string {
  const program = join(build.folder, name);
  compiler(build, [...build.target.machine, ...build.flags, ...objects, "-lpthread", "-o", program]);
  return program;
}

function compiler({ target, native }: Build, command: readonly string[]): void {
  const { status, stderr } = spawnSync(target.compiler, command, { cwd: native, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr.split("\n").find((line) => line.includes("error")) ?? stderr);
}

/** Names of instruction sets that this processor has, best first, as the library tells. */
export function setsHere(build: Build): readonly string[] {
  const source = join(build.folder, "sets.cpp");
  mkdirSync(build.folder, { recursive: true });
  const sets = build.target.units.filter(isKernels);
  const definitions = sets.map(({ name }) => `namespace ${name} { const Kernels kernels = {"${name}", {}}; }`);
  const body = "for (u32 i = 0; i < kernel_count; i++) if (runs_here(i)) puts(all_kernels[i]->name);";
  writeFileSync(
    source,
    `#include <stdio.h>\n#include "${build.native}/sets.h"\n${definitions.join("\n")}\nint main() { ${body} }\n`,
  );
  const program = join(build.folder, "sets");
  const platform = join(build.native, "platform_linux.cpp");
  compiler(build, [...build.target.machine, "-std=c++17", source, platform, "-lpthread", "-o", program]);
  return spawnSync(program, { encoding: "utf8" }).stdout.split("\n").filter(Boolean);
}

export interface Outcome {
  readonly ok: boolean;
  /** What the program says first of what is wrong. */
  readonly message: string;
  readonly seconds: number;
}

/** Runs a program of native/test; one that does not end in time is ended. */
export function runCheck(program: string, rest: readonly string[], limit: number): Outcome {
  const start = performance.now();
  const { status, signal, stdout, stderr } = spawnSync(program, rest, {
    encoding: "utf8",
    timeout: limit * 1000,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 26,
  });
  const seconds = (performance.now() - start) / 1000;
  const lines = `${stderr}\n${stdout}`.split("\n");
  const wrong = lines.find((line) => /FAILED|ERROR|WARNING|runtime error|of the bound|is not/.test(line)) ?? "";
  const ended = signal === null ? "" : seconds >= limit ? `does not end in ${limit} s` : `ended by ${signal}`;
  return { ok: status === 0, message: ended || wrong.trim(), seconds };
}

/** Leaves of kernels.cpp the formats that are asked for: of all of them, they take most of the compiler's time. */
export function keepFormats(native: string, formats: readonly string[]): void {
  const path = join(native, "kernels", "kernels.cpp");
  const lines = readFileSync(path, "utf8").split("\n");
  const kept = lines.filter((line) => {
    const format = /^\s*(?:case |QUANTIZED\()format_(\w+)/.exec(line)?.[1];
    return format === undefined || formats.includes(format);
  });
  writeFileSync(path, kept.join("\n"));
}
