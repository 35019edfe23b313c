// Speeds as a table in Markdown, with what share of the card's own limits each is.

import type { Measurement } from "../speed/tasks.ts";
import type { GpuBench } from "./report.ts";

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
