// `polyllama doctor`: what this machine can run, and why not. A backend counts as working when it has just written text.

import { readdir, stat } from "node:fs/promises";
import { availableParallelism, cpus, freemem, release, totalmem } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { type BackendName, type BackendOptions, backendNames } from "../backends.ts";
import { cudaCards, describeCard, whatFits } from "../cuda.ts";
import { Exit, UsageError } from "../exit.ts";
import { describeFit, deviceFits } from "../fit.ts";
import { bytes, seconds, table } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addBackendOptions } from "../options.ts";
import { heading, print, printJson } from "../terminal.ts";

interface Options extends BackendOptions {
  readonly json?: boolean;
}

interface BackendReport {
  readonly name: BackendName;
  readonly works: boolean;
  readonly device?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  /** Time to load the embedded model and write a few tokens with it. */
  readonly seconds?: number;
  /** Why it does not work. */
  readonly reason?: string;
}

export function addDoctor(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("doctor")
    .summary("Say what this machine can run")
    .description("Say what this machine can run, and why not. Fails when the chosen backend does not work.")
    .option("--json", "print one object");
  addBackendOptions(command).action((options: Options) => doctor(options, interrupts));
}

async function doctor(options: Options, { signal }: Interrupts): Promise<void> {
  const backends: BackendReport[] = [];
  for (const name of backendNames) {
    backends.push(await tryBackend(name === options.backend ? options : { backend: name }, signal));
  }
  const chosen = backends.find(({ name }) => name === options.backend);
  const ok = chosen?.works === true;
  const cache = await describeCache(options);
  const cuda = await cudaCards();
  const models = await deviceFits(cuda);
  const { stdout } = process;
  const report = {
    ok,
    node: process.version,
    platform: `${process.platform} ${process.arch}, ${release()}`,
    cpu: { model: cpus()[0]?.model.trim() ?? "unknown", cores: availableParallelism() },
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
  if (options.json) printJson(report);
  else {
    const { cpu, memory, terminal } = report;
    const facts = [
      ["Node", report.node],
      ["platform", report.platform],
      ["processor", `${cpu.model}, ${cpu.cores} cores for this process`],
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

async function tryBackend(options: BackendOptions, signal: AbortSignal): Promise<BackendReport> {
  const name = options.backend;
  const started = performance.now();
  try {
    await using model = await loadModel(options, signal);
    const { ids } = await model.llama.complete("春夜\n", { maxTokens: 4, temperature: 0, ignoreEos: true, signal });
    if (ids.length !== 4) return { name, works: false, reason: `wrote ${ids.length} tokens where 4 were asked for` };
    const { device, details } = model.backend.describe();
    const taken = (performance.now() - started) / 1000;
    return { name, works: true, device, details, seconds: taken };
  } catch (error) {
    if (error instanceof Exit || error instanceof UsageError) throw error;
    return { name, works: false, reason: error instanceof Error ? error.message : String(error) };
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
    return (await import("@polyllama/backend-cpu")).defaultCacheFolder();
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

function advice(backends: readonly BackendReport[], chosen: BackendName): string[] {
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
