// What a check of a GPU found, as data and as Markdown.

import type { CudaCards } from "../cuda.ts";
import { describeCard, whatFits } from "../cuda.ts";
import type { BenchResult, Measurement } from "./bench.ts";
import type { Sanitized, TorchResult } from "./process.ts";
import type { SuiteResult } from "./suite.ts";

export interface GpuReport {
  readonly polyllama: string;
  readonly node: string;
  readonly platform: string;
  readonly date: string;
  seconds: number;
  /** `unfinished` while it runs, and when it was killed. */
  status: "passed" | "failed" | "not run" | "unfinished";
  verdict: string;
  cuda?: CudaCards;
  readonly conformance: (SuiteResult | { readonly backend: string; readonly notRun: string })[];
  sanitizer?: Sanitized;
  bench?: GpuBench;
}

export interface GpuBench {
  /** Of the card's own copies, bytes per second, read and written bytes both counted. */
  bandwidth?: number;
  /** Floating point operations per second of bf16 products: of `mma.sync` alone, and of a large matrix in PyTorch. */
  peak?: { own?: number; torch?: number };
  readonly results: BenchResult[];
  torch?: TorchResult | { readonly notRun: string };
}

export function markdownReport(report: GpuReport): string {
  const { cuda, conformance, sanitizer, bench } = report;
  const lines = [
    "# GPU check",
    "",
    `**${report.status}**: ${report.verdict}`,
    "",
    `polyllama ${report.polyllama}, Node ${report.node}, ${report.platform}, ${report.date}, ${report.seconds} s`,
    "",
  ];
  if (cuda !== undefined) {
    lines.push("## Cards", "");
    if (cuda.available) {
      for (const card of cuda.cards) {
        lines.push(`- ${describeCard(card)}`, ...whatFits(card.memory.free).map((line) => `  - ${line}`));
      }
    } else lines.push(`Not run: ${cuda.reason}`);
    lines.push("");
  }
  if (conformance.length > 0) lines.push("## Conformance", "", ...conformance.flatMap(suiteLines), "");
  if (sanitizer !== undefined) {
    const text = "notRun" in sanitizer ? `Not run: ${sanitizer.notRun}` : `${sanitizer.errors} errors`;
    lines.push("## compute-sanitizer", "", text, "");
    if (!("notRun" in sanitizer) && sanitizer.errors > 0) lines.push("```", sanitizer.summary, "```", "");
  }
  if (bench !== undefined) lines.push("## Speed", "", ...benchLines(bench));
  return `${lines.join("\n").trimEnd()}\n`;
}

function suiteLines(result: GpuReport["conformance"][number]): readonly string[] {
  return [
    `- ${suiteSummary(result)}`,
    ...("notRun" in result ? [] : result.failures.map(({ address, detail }) => `  - \`${address}\`: ${detail}`)),
  ];
}

export function suiteSummary(result: GpuReport["conformance"][number]): string {
  if ("notRun" in result) return `${result.backend}: not run: ${result.notRun}`;
  const { backend, device, ran, total, passed, failures, unsupported, worst, notReached, seconds } = result;
  const rest = notReached.length === 0 ? "" : `; nothing run of ${notReached.join(", ")}`;
  return (
    `${backend} (${device}): ${ran} of ${total} cases run in ${seconds.toFixed(0)} s: ${passed} passed, ${failures.length} failed, ` +
    `${unsupported} unsupported; worst ${worst.toFixed(3)} of its bound${rest}`
  );
}

/** The figures as a table in Markdown. */
export function benchLines({ bandwidth, peak, results, torch }: GpuBench): readonly string[] {
  const tera = (rate: number): string => `${(rate / 1e12).toFixed(1)} TFLOP/s`;
  const limits = [
    bandwidth === undefined ? "copy bandwidth not measured" : `copies at ${(bandwidth / 1e9).toFixed(0)} GB/s`,
    ...(peak?.torch === undefined ? [] : [`bf16 products at ${tera(peak.torch)} in PyTorch`]),
    ...(peak?.own === undefined ? [] : [`bf16 products at ${tera(peak.own)} by mma.sync alone`]),
    ...(peak?.torch === undefined && peak?.own === undefined ? ["bf16 peak not measured"] : []),
  ];
  const lines = [`The card: ${limits.join("; ")}.`, ""];
  lines.push("| model | what | figure | share |", "|---|---|---|---|");
  for (const { label, measurements } of results) {
    for (const measurement of measurements) {
      lines.push(
        `| ${label} | ${measurement.what} | ${figure(measurement)} | ${share(measurement, bandwidth, peak?.torch ?? peak?.own)} |`,
      );
    }
  }
  const of = peak?.torch === undefined ? "mma.sync's bf16 peak" : "PyTorch's bf16 peak";
  lines.push("", `Shares are of the copy bandwidth when decoding, and of ${of} when reading a prompt.`, "");
  if (torch === undefined) return lines;
  if ("notRun" in torch) return [...lines, `PyTorch: not run: ${torch.notRun}`];
  lines.push(
    `PyTorch ${torch.torch}, transformers ${torch.transformers}, 7B bf16, static cache; beside it 7B f16 of this run:`,
    "",
    "| what | mode | PyTorch tokens/s | polyllama tokens/s |",
    "|---|---|---|---|",
  );
  const own = new Map(
    results.find(({ label }) => label === "7B f16")?.measurements.map((entry) => [entry.what, entry]),
  );
  for (const { mode, what, value, notRun } of torch.measurements.filter((entry) => entry.mode !== "matmul")) {
    const ours = own.get(what);
    const theirs = value?.toFixed(1) ?? `not run: ${notRun}`;
    lines.push(`| ${what} | ${mode} | ${theirs} | ${ours === undefined ? "not run" : figure(ours)} |`);
  }
  return lines;
}

function figure({ value, unit, notRun, failed }: Measurement): string {
  if (value !== undefined) return `${value.toFixed(1)} ${unit}`;
  return failed === undefined ? `not run: ${notRun}` : `FAILED: ${failed}`;
}

function share({ what, rate }: Measurement, bandwidth: number | undefined, peak: number | undefined): string {
  const limit = what.startsWith("prefill") ? peak : bandwidth;
  return rate === undefined || limit === undefined ? "" : `${((100 * rate) / limit).toFixed(1)} %`;
}
