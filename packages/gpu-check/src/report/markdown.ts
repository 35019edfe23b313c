// The report as Markdown, and its lines as they are printed.

import type { CudaStatus } from "@polyllama/backend-cuda";
import { benchLines } from "./figures.ts";
import type { GpuReport } from "./report.ts";

export function markdownReport(report: GpuReport): string {
  const { card, conformance, sanitizer, bench } = report;
  const lines = [
    "# GPU check",
    "",
    `**${report.status}**: ${report.verdict}`,
    "",
    `polyllama ${report.polyllama}, Node ${report.node}, ${report.platform}, ${report.date}, ${report.seconds} s`,
    "",
  ];
  if (card !== undefined) {
    lines.push("## Card", "", card.available ? describeCard(report.device, card) : `Not run: ${card.reason}`, "");
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

/** One line for a card that can be used. */
export function describeCard(number: number, card: Extract<CudaStatus, { readonly available: true }>): string {
  const [free, total] = [card.memory.free, card.memory.total].map((value) => (value / 2 ** 30).toFixed(1));
  return (
    `${number}: ${card.device}, compute capability ${card.computeCapability}, ${free} of ${total} GiB free, ` +
    `driver for CUDA ${card.driver}`
  );
}
