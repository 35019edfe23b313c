// Results as data, and CONFORMANCE.md as a function of them.

import type { CaseResult } from "./case.ts";
import { conformanceCases } from "./cases.ts";
import { type Expectations, judge, type Verdict } from "./expectations.ts";

/** One backend on one device. */
export interface BackendResults {
  /** Name and settings: "onnxruntime, activations f32". */
  readonly backend: string;
  readonly device: string;
  /** Versions of what ran. */
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** ISO date. */
  readonly date: string;
  readonly seed: number;
  readonly expectations: Expectations;
  readonly results: readonly CaseResult[];
  /** Cases that were run later than the others. */
  readonly added?: readonly { readonly date: string; readonly cases: number }[];
}

/** A backend that was not run, and why. */
export interface SkippedBackend {
  readonly backend: string;
  readonly reason: string;
}

/** The document. */
export function summarize(runs: readonly BackendResults[], notRun: readonly SkippedBackend[]): string {
  const rows = new Map<string, Map<BackendResults, CaseResult[]>>();
  for (const run of runs) {
    for (const result of run.results) {
      const name = rowName(result.address);
      const row = rows.get(name) ?? new Map<BackendResults, CaseResult[]>();
      rows.set(name, row);
      row.set(run, [...(row.get(run) ?? []), result]);
    }
  }
  const header = ["what", ...runs.map(({ backend }) => backend)];
  const table = [...rows].map(([name, row]) => [name, ...runs.map((run) => cell(row.get(run), run.expectations))]);
  return [
    "# Conformance",
    "",
    "Written by `npm run conformance`. Each cell says how many cases passed and the largest error among them as a share of its",
    "bound (1 is the limit; [docs/tolerances.md](docs/tolerances.md) derives the bounds). A cell with a finding names it below.",
    "Paths are those of real use: several sequences in a step (mixed), prompts in pieces (chunked), what exceeds a binding or a submission",
    "(split), layers as they are fused, inner values between generations, tokens chosen on the device (sampled), thousands of positions (long).",
    "",
    ...markdown(header, table),
    "",
    "## What ran where",
    "",
    ...runs.map(({ backend, device, details, date, seed, results, added = [] }) => {
      const listed = Object.entries(details).map(([key, value]) => `${key} ${value}`);
      const first = results.length - added.reduce((sum, { cases }) => sum + cases, 0);
      const later = added.map((part) => `${part.cases} more, ${part.date}`);
      return `- **${backend}**: ${device}; ${[...listed, `seed ${seed}`, `${first} cases`, date, ...later].join(", ")}`;
    }),
    "",
    "## What was not run",
    "",
    ...(notRun.length === 0 ? ["Nothing."] : notRun.map(({ backend, reason }) => `- **${backend}**: ${reason}`)),
    "",
    ...findings(runs),
  ].join("\n");
}

/** What of the suite a record does not have, in words. */
export function casesNotRun({ results }: BackendResults): string | undefined {
  const ran = new Set(results.map(({ address }) => address));
  const missing = conformanceCases().filter(({ address }) => !ran.has(address));
  if (missing.length === 0) return undefined;
  const names = [...new Set(missing.map(({ address }) => address.split(":", 2).join(":")))];
  const some = names.length > 8 ? `${names.slice(0, 8).join(", ")} and others` : names.join(", ");
  return `${missing.length} of ${missing.length + results.length} cases (${some})`;
}

function findings(runs: readonly BackendResults[]): readonly string[] {
  const lines = runs.flatMap(({ backend, results, expectations }) => {
    const alike = new Map<string, string[]>(); // addresses by what is said of them
    for (const result of results) {
      const { verdict, reason } = judge(result, expectations);
      const text = `${verdict}. ${reason}`;
      if (verdict !== "passed" && verdict !== "absent") alike.set(text, [...(alike.get(text) ?? []), result.address]);
    }
    return [...alike].map(([text, [first, ...others]]) => {
      const more = others.length === 0 ? "" : ` and ${others.length} more`;
      return `- **${backend}**, \`${first}\`${more}: ${text}`;
    });
  });
  return lines.length === 0 ? [] : ["## Findings", "", ...lines, ""];
}

/** Operations by format where they have one; chains, models and paths by name. */
export function rowName(address: string): string {
  const [suite, name, listed = ""] = address.split(":");
  const format = /(?:^|;)format=([^;]+)/.exec(listed)?.[1];
  return suite === "op" && format !== undefined && name !== "rmsNorm"
    ? `${name}, ${format}`
    : `${suite === "op" ? "" : `${suite}: `}${name}`;
}

function cell(results: readonly CaseResult[] | undefined, expectations: Expectations): string {
  if (results === undefined) return "not run";
  const verdicts = results.map((result) => judge(result, expectations).verdict);
  const count = (wanted: Verdict): number => verdicts.filter((verdict) => verdict === wanted).length;
  const passed = results.filter(({ status }) => status === "passed");
  const worst = passed.reduce((most, { worst }) => Math.max(most, worst), 0);
  const others = (
    ["failed", "unexpected pass", "expected failure", "unsupported", "expected unsupported", "absent"] as const
  )
    .filter((verdict) => count(verdict) > 0)
    .map((verdict) => `, ${count(verdict)} ${verdict}`);
  if (count("absent") === results.length) return results[0]!.detail;
  return `${passed.length} passed${others.join("")}, worst ${worst.toFixed(3)}`;
}

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)];
}
