// A run as a page: one file that needs nothing else, for a phone or a wide screen, in light or dark. It is made of the log
// alone, so that it can be made again at any time.

import { join } from "node:path";
import { type Recipe, recipeLines } from "../recipes.ts";
import { chart, type Line, type Point } from "./chart.ts";
import { writeWhole } from "./files.ts";
import {
  type LogEntry,
  readLog,
  type SamplesEntry,
  type StartEntry,
  type StepEntry,
  type ValidationEntry,
} from "./log.ts";

/** The report's file in the folder of a run. */
export function reportPath(folder: string): string {
  return join(folder, "report.html");
}

/** Writes the report of what the log of a run says. */
export async function writeReport(folder: string): Promise<void> {
  await writeWhole(reportPath(folder), reportPage(await readLog(folder)));
}

/** The page of a log. */
export function reportPage(entries: readonly LogEntry[]): string {
  const steps = entries.filter((entry): entry is StepEntry => entry.kind === "step");
  const validation = entries.filter((entry): entry is ValidationEntry => entry.kind === "validation");
  const samples = entries.filter((entry): entry is SamplesEntry => entry.kind === "samples");
  const start = entries.filter((entry): entry is StartEntry => entry.kind === "start").at(-1);
  const points = (value: (entry: StepEntry) => number): readonly Point[] =>
    steps.map((entry) => [entry.step, value(entry)]);
  const line = (name: string, value: (entry: StepEntry) => number): Line => ({
    name,
    style: "a",
    points: points(value),
  });
  const held: Line = {
    name: "validation",
    style: "b",
    points: validation.map(({ step, loss }) => [step, loss]),
    marked: true,
  };
  const body = [
    heading(start, steps, validation),
    figure("Loss", [line("training", ({ loss }) => loss), held]),
    figure("Gradient norm, before clipping", [line("norm", ({ norm }) => norm)]),
    figure("Learning rate", [line("rate", ({ rate }) => rate)]),
    figure("Tokens per second", [line("tokens/s", ({ tokensPerSecond }) => tokensPerSecond)]),
    samplesPart(samples),
    start === undefined ? "" : recipePart(start.recipe),
  ];
  return `${head}<main>\n${body.filter((part) => part !== "").join("\n")}\n</main>\n</body>\n</html>\n`;
}

function heading(
  start: StartEntry | undefined,
  steps: readonly StepEntry[],
  validation: readonly ValidationEntry[],
): string {
  const last = steps.at(-1);
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["step", last && `${grouped(last.step)} of ${grouped(start?.steps ?? last.step)}`],
    ["loss", last?.loss.toFixed(4)],
    ["validation loss", validation.at(-1)?.loss.toFixed(4)],
    ["tokens", last && grouped(last.tokens)],
    ["parameters", start && grouped(start.parameters)],
    ["backend", start && `${start.backend}, ${start.device}`],
    ["seed", start && `${start.seed}`],
    ["begun", start && entriesTime(start.time)],
    ["last step", last && entriesTime(last.time)],
  ];
  const shown = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined);
  const items = shown.map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`);
  return `<h1>Training run</h1>\n<dl>${items.join("")}</dl>`;
}

function entriesTime(time: string): string {
  return time.replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

function figure(title: string, lines: readonly Line[]): string {
  const drawn = lines.filter(({ points }) => points.length > 0);
  const picture = chart(title, drawn);
  if (picture === "") return "";
  const legend = drawn.map(({ name, style }) => `<span class="${style}">${name}</span>`).join(" ");
  const names = drawn.length > 1 ? ` <small>${legend}</small>` : "";
  return `<figure><figcaption>${title}${names}</figcaption>${picture}</figure>`;
}

function samplesPart(entries: readonly SamplesEntry[]): string {
  if (entries.length === 0) return "";
  const parts = [...entries].reverse().map(({ step, samples }, index) => {
    const texts = samples.map(({ prompt, text }) => `<pre><b>${escaped(prompt)}</b>${escaped(text)}</pre>`);
    return `<details${index === 0 ? " open" : ""}><summary>Step ${grouped(step)}</summary>${texts.join("")}</details>`;
  });
  return `<section><h2>Samples</h2>${parts.join("")}</section>`;
}

function recipePart(recipe: Recipe): string {
  const finite = { ...recipe, optimizer: { ...recipe.optimizer, maxNorm: recipe.optimizer.maxNorm ?? Infinity } };
  return `<section><h2>Recipe</h2><pre>${escaped(recipeLines(finite).join("\n"))}</pre></section>`;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? character);
}

const head = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training run</title>
<style>
:root { color-scheme: light dark; --page: #fff; --text: #1c1e21; --quiet: #666c74; --line: #e2e5e9; --a: #2563c9; --b: #c2410c; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --text: #e6e8eb; --quiet: #9aa1aa; --line: #2c3036; --a: #7aa8f5; --b: #f59e6b; }
}
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1.5rem; max-width: 76rem; margin: auto; padding: 1rem; }
h1, dl, section { grid-column: 1 / -1; margin: 0; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; }
dt, small, summary { color: var(--quiet); font-size: .85rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
figure { margin: 0; min-width: 0; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--quiet); font-size: 13px; }
.grid { stroke: var(--line); }
polyline { fill: none; stroke-width: 1.5; }
polyline.a { stroke: var(--a); } polyline.b { stroke: var(--b); }
circle.a { fill: var(--a); } circle.b { fill: var(--b); }
span.a { color: var(--a); } span.b { color: var(--b); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 6px; padding: .75rem; margin: .5rem 0; font-size: .85rem; }
</style>
</head>
<body>
`;
