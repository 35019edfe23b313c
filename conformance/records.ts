// What was found, kept in files: results of each environment, what their cases allow, and CONFORMANCE.md as a function
// of both.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import {
  type BackendResults,
  type Bounds,
  casesNotRun,
  conformanceCases,
  type Expectations,
  type GoldenLosses,
  type SkippedBackend,
  summarize,
} from "@polyllama/conformance";
import { subjects } from "./environments/subjects.ts";

export const root: string = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}conformance/`;

export async function readExpectations(name: string): Promise<Expectations> {
  return JSON.parse(await readFile(`${folder}expectations/${name}.json`, "utf8"));
}

/** What cases allow, or nothing where that was never recorded. */
export async function readBounds(name: string): Promise<Bounds> {
  const known = await readdir(`${folder}bounds`);
  return known.includes(`${name}.json`) ? JSON.parse(await readFile(`${folder}bounds/${name}.json`, "utf8")) : {};
}

/** A line for each case, in the order of the cases; cases that are gone go. */
export async function writeBounds(name: string, bounds: Bounds): Promise<void> {
  const lines = conformanceCases().flatMap(({ address }) => {
    const entry = bounds[address];
    return entry === undefined ? [] : [`  ${JSON.stringify(address)}: [${entry.join(", ")}]`];
  });
  await writeFile(`${folder}bounds/${name}.json`, `{\n${lines.join(",\n")}\n}\n`);
}

/** A line for each step. */
export async function writeLosses(name: string, { roundings, losses }: GoldenLosses): Promise<void> {
  const lines = losses.map((step) => `    [${step.join(", ")}]`);
  const text = `{\n  "roundings": ${JSON.stringify(roundings)},\n  "losses": [\n${lines.join(",\n")}\n  ]\n}\n`;
  await mkdir(`${folder}losses`, { recursive: true });
  await writeFile(`${folder}losses/${name}.json`, text);
}

/** By name of the environment. */
export async function readResults(): Promise<ReadonlyMap<string, BackendResults>> {
  const kept = new Map<string, BackendResults>();
  for (const file of (await readdir(`${folder}results`)).sort()) {
    if (!file.endsWith(".json")) continue;
    kept.set(file.slice(0, -".json".length), JSON.parse(await readFile(`${folder}results/${file}`, "utf8")));
  }
  return kept;
}

/** Keeps results, with some of them anew where there were others, and writes CONFORMANCE.md. */
export async function keepResults(
  name: string,
  results: BackendResults,
  before: BackendResults | undefined,
): Promise<void> {
  const merged = before === undefined ? results : merge(before, results);
  await writeFile(`${folder}results/${name}.json`, `${JSON.stringify(merged, undefined, 1)}\n`);
  await writeSummary();
}

/** A record with some results anew, in the order of the cases; those of cases that are gone go. */
function merge(before: BackendResults, { results, date, expectations }: BackendResults): BackendResults {
  const all = new Map([...before.results, ...results].map((result) => [result.address, result]));
  const known = new Set(before.results.map(({ address }) => address));
  const cases = results.filter(({ address }) => !known.has(address)).length;
  return {
    ...before,
    expectations,
    results: conformanceCases().flatMap(({ address }) => all.get(address) ?? []),
    ...(cases > 0 && { added: [...(before.added ?? []), { date, cases }] }),
  };
}

/** CONFORMANCE.md, from what was kept. */
export async function writeSummary(): Promise<void> {
  const kept = await readResults();
  await writeFile(`${root}CONFORMANCE.md`, summarize([...kept.values()], notRun(kept)));
}

function notRun(kept: ReadonlyMap<string, BackendResults>): readonly SkippedBackend[] {
  return Object.entries(subjects).flatMap(([name, { title, absent }]) => {
    const run = kept.get(name);
    if (run === undefined) return [{ backend: title, reason: absent ?? "not run yet" }];
    const reason = casesNotRun(run);
    if (reason === undefined) return [];
    return [{ backend: title, reason: absent === undefined ? reason : `${reason}: ${absent}` }];
  });
}
