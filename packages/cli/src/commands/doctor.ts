// `polyllama doctor`: what this machine can run, and why not. A backend counts as working when it has just written
// text.

import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { availableParallelism, cpus, freemem, release, totalmem } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { type BackendName, type BackendOptions, backendNames } from "../backends.ts";
import { cudaCards, describeCard, whatFits } from "../cuda.ts";
import { deviceFits } from "../device-fits.ts";
import { Exit } from "../exit.ts";
import { describeFit } from "../fit.ts";
import { bytes, seconds, table } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { addBackendOptions } from "../options.ts";
import { heading, print, printJson } from "../terminal.ts";
import { type BackendReport, tryBackend } from "../try-backend.ts";
import { type Probing, probe } from "../webgpu/probe.ts";

interface Options extends BackendOptions {
  readonly json?: boolean;
}

export function addDoctor(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("doctor")
    .summary("Say what this machine can run")
    .description("Say what this machine can run, and why not. Fails when the chosen backend does not work.")
    .option("--json", "print one object");
  addBackendOptions(command).action((options: Options, own: Command) =>
    doctor(options, interrupts, own.optsWithGlobals()["verbose"] === true),
  );
}

async function doctor(options: Options, { signal }: Interrupts, verbose: boolean): Promise<void> {
  const { json = false } = options;
  const probing = { signal, verbose, json };
  const backends: BackendReport[] = [];
  for (const name of backendNames) {
    const given = name === options.backend ? options : { backend: name, json };
    backends.push(
      name === "webgpu" ? await tryWebGpu(name === options.backend, probing) : await tryBackend(given, signal),
    );
  }
  const chosen = backends.find(({ name }) => name === options.backend);
  const ok = chosen?.works === true;
  const cache = await describeCache(options);
  const cuda = await cudaCards();
  const models = await deviceFits(
    cuda,
    backends.some(({ name, works }) => name === "webgpu" && works),
    probing,
  );
  const { stdout } = process;
  const report = {
    ok,
    node: process.version,
    platform: `${process.platform} ${process.arch}, ${release()}`,
    cpu: {
      model: cpus()[0]?.model.trim() ?? "unknown",
      cores: availableParallelism(),
      instructionSets: await kernelSets(),
    },
    memory: { total: totalmem(), free: freemem() },
    backends,
    models,
    cuda,
    cache,
    terminal: {
      isTerminal: stdout.isTTY === true,
      colors: stdout.isTTY && stdout.hasColors(),
      columns: stdout.columns,
    },
  };
  if (json) printJson(report);
  else {
    const { cpu, memory, terminal } = report;
    const facts = [
      ["Node", report.node],
      ["platform", report.platform],
      ["processor", `${cpu.model}, ${cpu.cores} cores for this process`],
      ["kernels", cpu.instructionSets.length === 0 ? "none for this processor" : cpu.instructionSets.join(", ")],
      ["memory", `${bytes(memory.total)}, ${bytes(memory.free)} free`],
      ["cache", cache === null ? "none" : `${cache.folder}, ${bytes(cache.bytes)}`],
      [
        "terminal",
        terminal.isTerminal ? `${terminal.columns} columns, ${terminal.colors ? "colours" : "no colours"}` : "none",
      ],
    ];
    heading("Machine");
    for (const line of table(facts, [0, 1])) print(`  ${line}`);
    print();
    heading("Backends");
    for (const backend of backends) printBackend(backend);
    print();
    heading("Models in Q4_0 with their whole context");
    for (const { backend, device, models: fits } of models) {
      print(`  ${backend}: ${device}`);
      for (const fit of fits) print(`    ${describeFit(fit)}`);
    }
    print();
    if (cuda.available) {
      heading("NVIDIA cards");
      for (const card of cuda.cards) {
        print(`  ${describeCard(card)}`);
        print("    fits, with the whole context:");
        for (const line of whatFits(card.memory.free)) print(`      ${line}`);
      }
      print();
    }
    heading("What to do");
    for (const line of advice(backends, options.backend)) print(`  ${line}`);
  }
  if (!ok) throw new Exit(1);
}

/** In a process of its own, see probe.ts; one that was not chosen is given up after half a minute. */
async function tryWebGpu(isChosen: boolean, probing: Probing): Promise<BackendReport> {
  const result = await probe("try", { ...probing, seconds: isChosen ? 300 : 30 });
  return "answer" in result ? result.answer : { name: "webgpu", works: false, reason: result.reason };
}

/** Instruction sets of the cpu backend's kernels that run here, best first; none where its own report says why not. */
async function kernelSets(): Promise<readonly string[]> {
  try {
    return (await import("@polyllama/backend-cpu")).instructionSets();
  } catch {
    return [];
  }
}

/** The folder of packed weights and what lies in it; null with `--no-cache`. */
async function describeCache({
  cache = true,
  cacheFolder,
}: BackendOptions): Promise<{ readonly folder: string; readonly bytes: number } | null> {
  if (!cache) return null;
  const folder = cacheFolder ?? (await defaultFolder());
  return folder === undefined ? null : { folder: resolve(folder), bytes: await folderBytes(folder) };
}

async function defaultFolder(): Promise<string | undefined> {
  try {
    return (await import("@polyllama/backend-onnxruntime")).defaultCacheFolder();
  } catch {
    return undefined; // the backend itself cannot be loaded, which its report says
  }
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      stat(join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0, // removed meanwhile
      ),
    );
  return (await Promise.all(sizes)).reduce((total, size) => total + size, 0);
}

function printBackend({ name, works, device, details = {}, seconds: taken, reason }: BackendReport): void {
  print(`  ${name}: ${works ? "works" : "does not work"}`, works ? "green" : "red");
  if (works) print(`    ${device}; loaded the embedded model and wrote 4 tokens in ${seconds(taken ?? 0)}`);
  else print(`    ${reason}`);
  for (const [key, value] of Object.entries(details)) print(`    ${key}: ${value}`);
}

/** Whether the program runs from a clone of the repository, which brings a driver of its own. */
const isClone = existsSync(new URL("../../../../scripts/setup-system.mjs", import.meta.url));

/** What the report advises. */
export function advice(backends: readonly BackendReport[], chosen: BackendName, inClone: boolean = isClone): string[] {
  const webgpu = backends.find(({ name }) => name === "webgpu");
  const setup =
    inClone && process.platform === "linux" && webgpu?.works === false
      ? [
          "For webgpu without a graphics driver: `npm run setup:system` fetches a software driver, without touching the system.",
        ]
      : [];
  return [...adviceFor(backends, chosen), ...setup];
}

function adviceFor(backends: readonly BackendReport[], chosen: BackendName): string[] {
  const working = backends.filter(({ works }) => works).map(({ name }) => name);
  if (working.includes(chosen)) {
    return [`Everything that --backend ${chosen} needs is here. Begin with: polyllama generate -p "Once upon a time"`];
  }
  const other = working[0];
  return [
    `Mend what is said above about ${chosen}${other === undefined ? "." : `; until then, use --backend ${other}.`}`,
    ...(other === "reference" ? ["The reference is exact and slow: it is for small models and for comparison."] : []),
  ];
}
