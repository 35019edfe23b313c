// Results beside those that were recorded before: for each row of CONFORMANCE.md the largest error as a share of its
// bound, and the case in which it was seen.

import type { CaseResult } from "./case.ts";
import { rowName } from "./summary.ts";

const header = ["what", "passed", "worst", "in case", "before", "in case"];

/** Lines of a table: what was run, how many cases passed, the worst of them now and before. */
export function besideLines(now: readonly CaseResult[], before: readonly CaseResult[]): readonly string[] {
  const [own, old] = [byRow(now), byRow(before)];
  const rows = [...own].map(([name, results]) => [
    name,
    `${passed(results).length} of ${results.length}`,
    ...worstOf(results),
    ...worstOf(old.get(name) ?? []),
  ]);
  const table = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column]!.length))); // rows are as wide
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}

function byRow(results: readonly CaseResult[]): ReadonlyMap<string, readonly CaseResult[]> {
  const rows = new Map<string, CaseResult[]>();
  for (const result of results) {
    const name = rowName(result.address);
    rows.set(name, [...(rows.get(name) ?? []), result]);
  }
  return rows;
}

function passed(results: readonly CaseResult[]): readonly CaseResult[] {
  return results.filter(({ status }) => status === "passed");
}

/** The largest share of those that passed, and the parameters of its case. */
function worstOf(results: readonly CaseResult[]): readonly [share: string, parameters: string] {
  const [first, ...others] = passed(results);
  if (first === undefined) return ["-", ""];
  const most = others.reduce((worst, result) => (result.worst > worst.worst ? result : worst), first);
  return [most.worst.toPrecision(3), most.address.split(":").slice(2).join(":")];
}
