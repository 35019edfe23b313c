// A comparison as tables of text, for terminals and for the HTML report alike.

import type { Compared, OpFinding, Share } from "../parity/result.ts";
import { exceeds } from "../parity/result.ts";
import { shareText } from "../parity/verdict.ts";

/** A cell of a report's table. */
export interface Cell {
  readonly text: string;
  /** Above what is allowed. */
  readonly differs: boolean;
}

/** A table of a report. */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Layers that have columns of their own; with more, only the worst is shown. */
const mostColumns = 8;

/** What was found of one backend: its operations, its layers, its logits. */
export function comparisonTables({ ops, layers, endToEnd, activations }: Compared, rows: number): readonly Table[] {
  const { worst, worstRow, prefilled, sameToken, decided, meanKl } = endToEnd;
  return [
    opTable(ops),
    {
      title: "Layers, each with the reference's input: error / tolerance",
      header: ["layer", "output", "worst inner value", ""],
      rows: layers.map(({ layer, output, values }) => {
        const inner = values.reduce((most, value) => (beyond(value.worst, most.worst) ? value : most), noValue);
        return [plain(`${layer}`), shareCell(output), shareCell(inner.worst), plain(inner.value)];
      }),
    },
    {
      title: "Logits of the text, end to end",
      header: ["", ""],
      rows: [
        [plain("error / tolerance"), { ...shareCell(worst), text: `${shareText(worst)} (row ${worstRow})` }],
        [plain("read"), plain(`${prefilled} tokens at once, ${rows - prefilled} one by one`)],
        [plain("same most probable token"), plain(`${sameToken} of ${rows}`)],
        [plain("choice beyond rounding"), plain(`${decided} of ${rows}`)],
        [plain("mean KL divergence"), plain(meanKl === null ? "not a number" : `${meanKl.toExponential(2)} nats`)],
        [plain("activations"), plain(activations)],
      ],
    },
  ];
}

const noValue: { readonly value: string; readonly worst: Share } = { value: "", worst: 0 };

function beyond(a: Share, b: Share): boolean {
  return b !== null && (a === null || a > b);
}

function opTable(ops: readonly OpFinding[]): Table {
  const title = "Operations, each alone with the reference's inputs: error / bound";
  const layers = [...new Set(ops.map(({ layer }) => layer))].filter((layer) => layer !== undefined);
  const inner = new Map<string, OpFinding[]>();
  for (const finding of ops) {
    if (finding.layer !== undefined) inner.set(finding.value, [...(inner.get(finding.value) ?? []), finding]);
  }
  const facts = ({ op, value, format }: OpFinding): Cell[] => [plain(value), plain(op), plain(format ?? "")];
  const wide = layers.length > mostColumns;
  const columns = wide ? ["worst", "in layer"] : layers.map((layer) => `layer ${layer}`);
  const blank = Array.from({ length: Math.max(0, columns.length - 1) }, () => plain(""));
  const [embedding, ...head] = ops.filter(({ layer }) => layer === undefined);
  const end = (finding: OpFinding): Cell[] => [...facts(finding), shareCell(finding.worst), ...blank];
  const rows = [...inner.values()].map((findings) => {
    const [first] = findings;
    if (!wide) {
      const cells = layers.map((layer) => findings.find((finding) => finding.layer === layer));
      return [...facts(first!), ...cells.map((finding) => (finding ? shareCell(finding.worst) : plain("")))];
    }
    const most = findings.reduce((a, b) => (beyond(b.worst, a.worst) ? b : a));
    return [...facts(first!), shareCell(most.worst), plain(`${most.layer}`)];
  });
  return {
    title,
    header: ["value", "operation", "weight", ...columns],
    rows: [...(embedding ? [end(embedding)] : []), ...rows, ...head.map(end)],
  };
}

function plain(text: string): Cell {
  return { text, differs: false };
}

function shareCell(share: Share): Cell {
  return { text: shareText(share), differs: exceeds(share) };
}
