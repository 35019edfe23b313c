// Figures of a comparison as rows of a Markdown table.

import type { Figures } from "./compare.ts";

const columns = [
  ...["format", "engine", "prefill tok/s (best)", "decode tok/s (best)", "of read bandwidth", "decode tok/s, filled"],
  ...["first token s", "unpacked s", "peak MiB"],
];

export function tableHead(): string {
  return `| ${columns.join(" | ")} |\n|${"---|".repeat(columns.length)}`;
}

/** One row for each engine, then the first one's figures over those of each other; times and sizes too. */
export function tableRows(format: string, figures: readonly Figures[]): readonly string[] {
  const rows = figures.map((engine) => {
    return row([
      ...[format, engine.name],
      ...[`${show(engine.prefill, 1)} (${show(engine.best.prefill, 1)})`],
      ...[`${show(engine.decode, 1)} (${show(engine.best.decode, 1)})`],
      ...[engine.readShare === undefined ? "" : `${show(engine.readShare * 100, 0)} %`, show(engine.decodeFilled, 1)],
      ...[show(engine.firstToken, 2), show(engine.firstTokenUnpacked, 2), show(engine.peak, 0)],
    ]);
  });
  const [ours, ...others] = figures;
  if (ours === undefined) return rows;
  for (const other of others) {
    const ratio = (key: Exclude<keyof Figures, "name" | "best" | "readShare">) => {
      const [a, b] = [ours[key], other[key]];
      return a === undefined || b === undefined ? "" : (a / b).toFixed(2);
    };
    const unpacked =
      ours.firstTokenUnpacked === undefined || other.firstToken === undefined
        ? ""
        : (ours.firstTokenUnpacked / other.firstToken).toFixed(2);
    const name = `**ours over ${other.name}**`;
    const speeds = [ratio("prefill"), ratio("decode"), "", ratio("decodeFilled")];
    rows.push(row([format, name, ...speeds, ratio("firstToken"), unpacked, ratio("peak")]));
  }
  return rows;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function show(value: number | undefined, digits: number): string {
  return value === undefined ? "" : value.toFixed(digits);
}
