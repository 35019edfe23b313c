// `polyllama gpu-check`: everything that shows whether an NVIDIA card computes what it should, and how fast, in a few minutes on a
// machine that may have no network: cards, conformance against the reference, memory errors of kernels, speed. The report is
// written anew after each part, so that a run that had to be killed leaves what it found.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { ConformanceCase } from "@polyllama/conformance";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Backend } from "polyllama";
import { type BackendOptions, createBackend } from "../backends.ts";
import { type CudaCards, cudaCards, describeCard, whatFits } from "../cuda.ts";
import { Exit, UsageError } from "../exit.ts";
import { plural } from "../format.ts";
import {
  type BenchOptions,
  type BenchResult,
  type BenchTask,
  cudaTasks,
  modelTask,
  runTask,
  skipTask,
} from "../gpu/bench.ts";
import { findProgram, runTorch, sanitize, torchMissing } from "../gpu/process.ts";
import { benchLines, type GpuBench, type GpuReport, markdownReport, suiteSummary } from "../gpu/report.ts";
import { runSuite } from "../gpu/suite.ts";
import type { Interrupts } from "../interrupts.ts";
import { createProgress } from "../progress.ts";
import { heading, note, print } from "../terminal.ts";
import { integer } from "../values.ts";
import { version } from "../version.ts";

/** Exit code where there is no card: neither a pass nor a failure. */
export const notRunCode = 3;

const sections = ["cards", "conformance", "sanitizer", "bench"] as const;
type Section = (typeof sections)[number];

export interface GpuCheckOptions {
  readonly only: readonly Section[];
  readonly minutes: number;
  /** The report's path without its endings. */
  readonly output: string;
  readonly device?: number;
  readonly seed: number;
  /** False for `--no-webgpu`. */
  readonly webgpu: boolean;
  /** Location of the one model whose speed is measured; default: the published sizes. */
  readonly model?: string;
}

/** What a check meets; tests put something else in its place. */
export interface GpuCheckContext {
  readonly signal: AbortSignal;
  readonly createBackend: (options: BackendOptions) => Promise<Backend>;
  readonly cards: () => Promise<CudaCards>;
  /** Bytes per second. */
  readonly copyBandwidth: (device: number) => Promise<number>;
  /** Floating point operations per second. */
  readonly tensorPeak: (device: number) => Promise<number>;
  readonly findProgram: (name: string) => string | undefined;
  /** Default: the whole suite. */
  readonly cases?: readonly ConformanceCase[];
  readonly tasks: readonly BenchTask[];
  readonly bench?: Pick<BenchOptions, "cache" | "tokens">;
}

/** Shares of the time; what follows takes what is left. */
const shares = { cuda: 0.25, webgpu: 0.1, sanitizer: 0.12, torch: 0.25, margin: 0.04 };

export function addGpuCheck(program: Command, { signal }: Interrupts): void {
  program
    .command("gpu-check")
    .summary("Check an NVIDIA card: results, memory errors, speed")
    .description(
      "Check an NVIDIA card: conformance of the cuda backend, and of webgpu where there is an adapter, against the reference; " +
        "compute-sanitizer where it is installed; speed beside the card's own copies and PyTorch. Writes PATH.json and PATH.md. " +
        `Ends with 0 when all that was run is right, 1 when something is wrong, and ${notRunCode} when there is no card.`,
    )
    .addOption(
      new Option("--only <parts>", "parts to run").default(sections, sections.join(",")).argParser(chosenSections),
    )
    .option("--minutes <n>", "most time to take", integer(1), 8)
    .option("--output <path>", "report, without .json and .md", "gpu-check")
    .option("--device <n>", "number of the card (default: 0)", integer(0))
    .option("-s, --seed <n>", "seed of the conformance cases", integer(0), 1)
    .option("--no-webgpu", "leave the webgpu backend out")
    .option(
      "-m, --model <location>",
      "measure this model's speed instead of the published sizes': a file, or synthetic://...",
    )
    .action((options: GpuCheckOptions) =>
      runGpuCheck(options, {
        signal,
        createBackend,
        cards: cudaCards,
        copyBandwidth: async (device) => (await import("@polyllama/backend-cuda")).cuda.copyBandwidth({ device }),
        tensorPeak: async (device) => (await import("@polyllama/backend-cuda")).cuda.tensorPeak({ device }),
        findProgram,
        tasks: options.model === undefined ? cudaTasks : [modelTask(options.model)],
      }),
    );
}

/** The command. @throws {Exit} with 1 for what is wrong, {@link notRunCode} where there is no card. */
export async function runGpuCheck(options: GpuCheckOptions, context: GpuCheckContext): Promise<void> {
  const { only, minutes, output, device = 0, model } = options;
  if (model !== undefined && !only.includes("bench")) throw new UsageError("--model needs bench among --only's parts");
  const started = performance.now();
  const left = (): number => minutes * 60 * (1 - shares.margin) - (performance.now() - started) / 1000;
  const report: GpuReport = {
    polyllama: version(),
    node: process.version,
    platform: `${process.platform} ${process.arch}, ${release()}`,
    date: new Date().toISOString(),
    seconds: 0,
    status: "unfinished",
    verdict: "It did not come to its end.",
    conformance: [],
  };
  const save = async (): Promise<void> => {
    report.seconds = Math.round((performance.now() - started) / 1000);
    await writeFile(`${output}.json`, `${JSON.stringify(report, undefined, 2)}\n`);
    await writeFile(`${output}.md`, markdownReport(report));
  };
  await save().catch((error: Error) => {
    throw new UsageError(`--output ${output} cannot be written: ${error.message}`);
  });
  using _ = killAfter(minutes * 60, `${output}.json`);

  const cuda = await context.cards();
  report.cuda = cuda;
  const card = cuda.available ? cuda.cards.find(({ number }) => number === device) : undefined;
  const missing = cuda.available ? `there is no card ${device}` : "no card";
  if (only.includes("cards")) {
    heading("Cards");
    if (!cuda.available) print(`  not run: ${cuda.reason}`);
    for (const entry of cuda.available ? cuda.cards : []) {
      print(`  ${describeCard(entry)}`);
      for (const line of whatFits(entry.memory.free)) print(`    ${line}`);
    }
    print();
  }
  await save();

  if (only.includes("conformance")) {
    heading("Conformance");
    for (const backend of options.webgpu ? (["cuda", "webgpu"] as const) : (["cuda"] as const)) {
      const seconds = Math.min(left(), minutes * 60 * shares[backend]);
      const result =
        backend === "cuda" && card === undefined
          ? { backend, notRun: missing }
          : await suite(backend, seconds, options, context);
      report.conformance.push(result);
      print(`  ${suiteSummary(result)}`);
      for (const { address, detail } of "notRun" in result ? [] : result.failures) print(`    ${address}: ${detail}`);
      await save();
    }
    print();
  }

  if (only.includes("sanitizer")) {
    heading("compute-sanitizer");
    report.sanitizer = card === undefined ? { notRun: missing } : await sanitizer(device, left(), options, context);
    const { sanitizer: found } = report;
    print(`  ${"notRun" in found ? `not run: ${found.notRun}` : `${plural(found.errors, "error")}\n${found.summary}`}`);
    print();
    await save();
  }

  if (only.includes("bench")) {
    heading("Speed");
    await bench(report, card, missing, left, options, context, save);
  }

  const wrong = [
    ...report.conformance.flatMap((result) =>
      "notRun" in result || result.failures.length === 0
        ? []
        : [`${plural(result.failures.length, "case")} of ${result.backend} failed`],
    ),
    ...(report.sanitizer !== undefined && "errors" in report.sanitizer && report.sanitizer.errors > 0
      ? [`compute-sanitizer found ${plural(report.sanitizer.errors, "error")}`]
      : []),
    ...(report.bench?.results ?? []).flatMap(({ label, measurements }) =>
      measurements.flatMap(({ what, failed }) => (failed === undefined ? [] : [`${label}, ${what} failed`])),
    ),
  ];
  report.status = wrong.length > 0 ? "failed" : card === undefined ? "not run" : "passed";
  report.verdict =
    wrong.length > 0
      ? `${wrong.join("; ")}.`
      : card === undefined
        ? `cuda was not run: ${cuda.available ? missing : cuda.reason}`
        : "All that was run is right; what was not run is named.";
  await save();
  print(`${report.status}: ${report.verdict}`, report.status === "passed" ? "green" : "red");
  note(`report: ${output}.json, ${output}.md`);
  if (report.status === "failed") throw new Exit(1);
  if (report.status === "not run") throw new Exit(notRunCode);
}

async function suite(
  name: "cuda" | "webgpu",
  seconds: number,
  { device, seed }: GpuCheckOptions,
  { signal, createBackend: create, cases }: GpuCheckContext,
): Promise<GpuReport["conformance"][number]> {
  let backend: Backend;
  try {
    backend = await create({ backend: name, ...(name === "cuda" && device !== undefined && { device }) });
  } catch (error) {
    return { backend: name, notRun: error instanceof Error ? error.message : String(error) };
  }
  using progress = createProgress();
  try {
    return await runSuite(backend, {
      seconds,
      seed,
      signal,
      onCase: (done, total) => progress.update({ phase: `conformance of ${name}`, done, total, unit: "steps" }),
      ...(cases !== undefined && { cases }),
    });
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

/** A short conformance run of this very program, under compute-sanitizer. */
async function sanitizer(device: number, left: number, { minutes, seed }: GpuCheckOptions, context: GpuCheckContext) {
  const seconds = Math.min(left, minutes * 60 * shares.sanitizer);
  const folder = await mkdtemp(join(tmpdir(), "polyllama-gpu-check-"));
  try {
    // A quarter of its time goes to the suite: kernels run many times slower, and the time is looked at between cases.
    const own = ["--only", "conformance", "--no-webgpu", "--minutes", "1", "--output", join(folder, "report")];
    const self = [process.execPath, ...process.execArgv, process.argv[1] ?? "", "gpu-check", ...own];
    const chosen = ["--device", String(device), "--seed", String(seed)];
    const { signal } = context;
    return await sanitize(context.findProgram("compute-sanitizer"), [...self, ...chosen], { seconds, signal });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function bench(
  report: GpuReport,
  card: Extract<CudaCards, { readonly available: true }>["cards"][number] | undefined,
  missing: string,
  left: () => number,
  { minutes }: GpuCheckOptions,
  context: GpuCheckContext,
  save: () => Promise<void>,
): Promise<void> {
  const { signal, tasks } = context;
  const found: GpuBench = { results: [] };
  report.bench = found;
  const python = context.findProgram("python3");
  if (card === undefined) {
    for (const task of tasks) found.results.push(await skipTask(task, missing));
    found.torch = { notRun: missing };
  } else {
    const noTorch = await torchMissing(python, { seconds: Math.min(60, left()), signal });
    if (noTorch !== undefined) found.torch = { notRun: noTorch };
    const reserved = noTorch === undefined ? minutes * 60 * shares.torch : 0;
    found.bandwidth = await context.copyBandwidth(card.number);
    // A card below 8.0 has no such units, and then there is nothing to compare prompts with.
    if (Number(card.computeCapability) >= 8) found.peak = { own: await context.tensorPeak(card.number) };
    await using backend = await context.createBackend({ backend: "cuda", device: card.number });
    for (const [index, task] of tasks.entries()) {
      const rest = left() - reserved;
      if (rest <= 0) found.results.push(await skipTask(task, "out of time"));
      else {
        const limited = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(rest * 1000))]);
        const { free } = card.memory;
        const onProgress = (label: string, what: string): void => note(`${label}: ${what} ...`);
        const onResult = async (result: BenchResult): Promise<void> => {
          found.results[index] = result;
          await save();
        };
        const limits = { signal: limited, onProgress, onResult, free, ...context.bench };
        found.results[index] = await runTask(backend, task, limits);
        signal.throwIfAborted();
      }
      await save();
    }
    if (noTorch === undefined && python !== undefined) {
      note("PyTorch: 7B bf16 ...");
      const seconds = Math.max(1, left());
      found.torch = await runTorch(python, { seconds, signal });
      const peak = "notRun" in found.torch ? undefined : found.torch.measurements.find(({ what }) => what === "peak");
      if (peak?.value !== undefined) found.peak = { ...found.peak, torch: peak.value };
    }
  }
  for (const line of benchLines(found)) print(`  ${line}`.trimEnd());
  print();
}

/** Kills this process when the time is over: a call to a driver that never returns holds up everything else in it. */
function killAfter(seconds: number, report: string): Disposable {
  const text = `gpu-check: killed, as it took more than ${seconds} s; ${report} has what was found until then\n`;
  const code =
    "const { workerData } = require('node:worker_threads'); setTimeout(() => { " +
    "require('node:fs').writeSync(2, workerData.text); process.kill(process.pid, 'SIGKILL'); }, workerData.seconds * 1000);";
  const worker = new Worker(code, { eval: true, workerData: { text, seconds }, execArgv: [] });
  worker.unref();
  return { [Symbol.dispose]: () => void worker.terminate() };
}

function chosenSections(list: string): readonly Section[] {
  return list.split(",").map((name) => {
    const known = sections.find((own) => own === name.trim());
    if (known !== undefined) return known;
    throw new InvalidArgumentError(`"${name}" is no part; there are ${sections.join(", ")}.`);
  });
}
