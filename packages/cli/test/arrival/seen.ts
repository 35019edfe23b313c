// What reaches the library when a command runs: everything that loads, computes or writes is replaced by what notes
// down how it was called. A value is found under the name of the function and of the option, such as
// "load.contextLength".

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Llama } from "polyllama";
import { vi } from "vitest";
import { commandsOf } from "../../src/examples.ts";
import { createInterrupts } from "../../src/interrupts.ts";
import { createProgram } from "../../src/program.ts";
import { captured } from "../captured.ts";
import { fakeLlama } from "./fakes.ts";
import { notes, record } from "./record.ts";

vi.mock("@polyllama/backend-cpu", async () => (await import("./fakes.ts")).cpuPackage);
vi.mock("@polyllama/backend-onnxruntime", async () => (await import("./fakes.ts")).onnxruntimePackage);
vi.mock("@polyllama/backend-cuda", async () => (await import("./fakes.ts")).cudaPackage);
vi.mock("@polyllama/backend-webgpu", async () => (await import("./fakes.ts")).webgpuPackage);
vi.mock("@polyllama/backend-reference", async (original) => ({
  ...(await original<object>()),
  ...(await import("./fakes.ts")).referencePackage,
}));
vi.mock("polyllama", async (original) => ({
  ...(await original<object>()),
  ...(await import("./fakes.ts")).fakeLibrary(await original()),
}));
vi.mock("@polyllama/conformance", async (original) => ({
  ...(await original<object>()),
  ...(await import("./fakes.ts")).conformancePackage,
}));
vi.mock("@polyllama/training", async (original) => ({
  ...(await original<object>()),
  ...(await import("./training-fakes.ts")).computingModule,
}));
vi.mock("@polyllama/training/node", async () => (await import("./training-fakes.ts")).runsModule);
vi.mock("../../src/webgpu/probe.ts", async () => (await import("./machine.ts")).probeModule);
vi.mock("../../src/cuda.ts", async (original) => ({
  ...(await original<object>()),
  ...(await import("./machine.ts")).cardsModule,
}));
vi.mock("../../src/text-files.ts", async (original) => ({
  ...(await original<object>()),
  writeWhole: async (path: string) => record("writeWhole", { path }),
}));

/** Values by where they arrived; a list where several did. */
export type Seen = Readonly<Record<string, unknown>>;

const interrupts = createInterrupts();

/** Names of the options of each command, and of the program itself as "". Read here, behind the replacements. */
export function definedOptions(): ReadonlyMap<string, readonly string[]> {
  const program = createProgram(interrupts);
  const all = [{ name: "", command: program }, ...commandsOf(program)];
  return new Map(all.map(({ name, command }) => [name, command.options.map(({ long }) => long ?? "")]));
}

/** Runs the program in an empty folder, which "@" at an argument's beginning stands for. */
export async function seen(args: readonly string[], input = "Hello\n"): Promise<Seen> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-arrival-"));
  notes.clear();
  vi.spyOn(Math, "random").mockReturnValue(0.5); // the seed that is drawn where none is given
  vi.spyOn(Llama, "load").mockImplementation(async (location, { backend: _, ...options }) => {
    record("load", { location: typeof location === "string" ? location : "a checkpoint", ...options });
    return fakeLlama() as never; // what the commands use of it
  });
  try {
    const given = args.map((each) => each.replace(/^@/, `${folder}/`));
    const { stdout, error } = await captured(
      () => createProgram(interrupts).parseAsync(given, { from: "user" }),
      input,
    );
    const files = (await readdir(folder)).sort();
    const told = { stdout, files, ...(error instanceof Error && { error: error.message }) };
    const values = [...notes].map(([name, list]) => [name, list.length === 1 ? list[0] : list] as const);
    return JSON.parse(JSON.stringify({ ...told, ...Object.fromEntries(values) }).replaceAll(`${folder}/`, "@"));
  } finally {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  }
}

/** What is otherwise than before; null for what is no longer there. */
export function difference(before: Seen, after: Seen): Seen {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  return Object.fromEntries(changed.map((name) => [name, after[name] ?? null]));
}
