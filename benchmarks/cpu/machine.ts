// The machine that figures come from: its processor, and what its memory and its 8-bit products reach at best, measured
// by a small native program in the same run.

import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { buildNative, runNative } from "../native/build.ts";

/** Flags of processors that kernels are chosen by. */
const flagsThatMatter = [
  ...["avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8"],
  ...["asimd", "asimddp", "i8mm", "sve"],
];

export interface Limits {
  /** Bytes a second. */
  readonly read: number;
  /** Additions of 8-bit products a second, by instruction set. */
  readonly products: Readonly<Record<string, number>>;
}

/** Flags of the processor, as Linux lists them. */
export function processorFlags(): ReadonlySet<string> {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  return new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1]?.trim().split(" "));
}

/** Processor, time and load, in lines to print above figures. */
export function describeMachine(): string {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const flags = processorFlags();
  const known = flagsThatMatter.filter((flag) => flags.has(flag)).join(" ");
  const family = /^cpu family\s*:\s*(\d+)$/m.exec(info)?.[1];
  const model = /^model\s*:\s*(\d+)$/m.exec(info)?.[1];
  const which = family === undefined ? "" : `, family ${family} model ${model}`;
  return `${cpus()[0]?.model ?? "unknown processor"}${which}, ${availableParallelism()} cores: ${known}\n${now()}`;
}

/** Time and load average: with other work on the machine, figures of all its cores mean little. */
export function now(): string {
  const loads = loadavg().map((load) => load.toFixed(1));
  return `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, load average ${loads.join(" ")}`;
}

/** Undefined where there is no compiler, or where the processor is not x86-64. */
export async function measureLimits(threads: number): Promise<Limits | undefined> {
  if (process.arch !== "x64") return undefined;
  const program = await buildNative("limits");
  if (program === undefined) return undefined;
  return JSON.parse(runNative(program, [String(threads)])) as Limits; // as the program prints them
}

/** Measures what memory gives at this moment on average, in bytes a second; undefined as with {@link measureLimits}. */
export async function readMeter(threads: number): Promise<(() => number) | undefined> {
  if (process.arch !== "x64") return undefined;
  const program = await buildNative("limits");
  if (program === undefined) return undefined;
  return () => (JSON.parse(runNative(program, [String(threads), "now"])) as Limits).read; // as the program prints it
}

export function describeLimits(limits: Limits | undefined, threads: number): string {
  if (limits === undefined) return "read bandwidth and int8 peak: not measured (no g++, or not an x86-64 processor)";
  const giga = (value: number) => (value / 1e9).toFixed(1);
  const peaks = Object.entries(limits.products).map(([name, value]) => `${name} ${giga(value)}`);
  return `${threads} threads at best: read ${giga(limits.read)} GB/s; int8 ${peaks.join(", ")} GMAC/s`;
}
