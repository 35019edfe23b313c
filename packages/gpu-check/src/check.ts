// Everything that shows whether an NVIDIA card computes what it should, and how fast, in a few minutes on a machine
// that may have no network: the card, conformance against the reference, memory errors of kernels, speed. The report is
// written anew after each part, so that a run that had to be killed leaves what it found.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";

import type { GpuCheckContext } from "./context.ts";
import { killAfter } from "./deadline.ts";
import { type GpuCheckOptions, notRunCode, UsageError } from "./options.ts";
import { type Sanitized, sanitize } from "./programs.ts";
import { describeCard, markdownReport, suiteSummary } from "./report/markdown.ts";
import { failures, type GpuReport, type NotRun } from "./report/report.ts";
import { measureSpeed } from "./speed/speed.ts";
import { runSuite, type SuiteResult } from "./suite.ts";

/** Shares of the time; what follows takes what is left. */
const shares = { cuda: 0.25, webgpu: 0.1, sanitizer: 0.12, torch: 0.25, margin: 0.04 };

/** Runs the parts that are asked for. Returns 0, 1 for what is wrong, {@link notRunCode} where there is no card. */
export async function runGpuCheck(options: GpuCheckOptions, context: GpuCheckContext): Promise<number> {
  const { only, minutes, output, device } = options;
  const { print } = context;
  const started = performance.now();
  const left = (): number => minutes * 60 * (1 - shares.margin) - (performance.now() - started) / 1000;
  const report: GpuReport = {
    polyllama: context.version,
    node: process.version,
    platform: `${process.platform} ${process.arch}, ${release()}`,
    date: new Date().toISOString(),
    device,
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

  const card = context.card();
  report.card = card;
  if (only.includes("card")) {
    print(`Card\n  ${card.available ? describeCard(device, card) : `not run: ${card.reason}`}\n`);
  }
  await save();

  if (only.includes("conformance")) {
    print("Conformance");
    for (const backend of options.webgpu ? (["cuda", "webgpu"] as const) : (["cuda"] as const)) {
      const seconds = Math.min(left(), minutes * 60 * shares[backend]);
      const missing = backend === "cuda" && !card.available;
      const result = missing ? { backend, notRun: "no card" } : await suite(backend, seconds, options.seed, context);
      report.conformance.push(result);
      print(`  ${suiteSummary(result)}`);
      for (const { address, detail } of "notRun" in result ? [] : result.failures) print(`    ${address}: ${detail}`);
      await save();
    }
    print();
  }

  if (only.includes("sanitizer")) {
    const seconds = Math.min(left(), minutes * 60 * shares.sanitizer);
    const found = card.available ? await sanitizer(options, seconds, context) : { notRun: "no card" };
    report.sanitizer = found;
    const text = "notRun" in found ? `not run: ${found.notRun}` : `${found.errors} errors\n${found.summary}`;
    print(`compute-sanitizer\n  ${text}\n`);
    await save();
  }

  if (only.includes("bench")) {
    print("Speed");
    report.bench = { results: [] };
    const limits = { left, torch: minutes * 60 * shares.torch };
    await measureSpeed(report.bench, card.available ? card : "no card", limits, context, save);
    print();
  }

  conclude(report);
  await save();
  print(`${report.status}: ${report.verdict}`);
  context.note(`report: ${output}.json, ${output}.md`);
  return report.status === "failed" ? 1 : report.status === "not run" ? notRunCode : 0;
}

function conclude(report: GpuReport): void {
  const wrong = failures(report);
  if (wrong.length > 0) {
    report.status = "failed";
    report.verdict = `${wrong.join("; ")}.`;
  } else if (report.card?.available === false) {
    report.status = "not run";
    report.verdict = `cuda was not run: ${report.card.reason}`;
  } else {
    report.status = "passed";
    report.verdict = "All that was run is right; what was not run is named.";
  }
}

async function suite(
  name: "cuda" | "webgpu",
  seconds: number,
  seed: number,
  { signal, createBackend, cases, note }: GpuCheckContext,
): Promise<SuiteResult | (NotRun & { readonly backend: string })> {
  const device = await createBackend(name).catch((error: Error) => error);
  if (device instanceof Error) return { backend: name, notRun: device.message };
  let told = performance.now();
  const onCase = (done: number, total: number): void => {
    if (performance.now() - told < 10_000) return;
    told = performance.now();
    note(`conformance of ${name}: ${done} of ${total} ...`);
  };
  try {
    return await runSuite(device, { seconds, seed, signal, onCase, ...(cases !== undefined && { cases }) });
  } finally {
    await device[Symbol.asyncDispose]();
  }
}

/** A short conformance run of this very program, under compute-sanitizer. */
async function sanitizer(
  { device, seed }: GpuCheckOptions,
  seconds: number,
  { signal, findProgram }: GpuCheckContext,
): Promise<Sanitized> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-gpu-check-"));
  try {
    // A quarter of its time goes to the suite: kernels run many times slower, and the time is looked at between cases.
    const part = ["--only", "conformance", "--no-webgpu", "--minutes", "1", "--output", join(folder, "report")];
    const self = [process.execPath, ...process.execArgv, process.argv[1] ?? "", ...part];
    const chosen = ["--device", String(device), "--seed", String(seed)];
    return await sanitize(findProgram("compute-sanitizer"), [...self, ...chosen], { seconds, signal });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
