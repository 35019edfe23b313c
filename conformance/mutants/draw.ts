// Draws automatic faults of a package: all changes that there are to its sources, in an order that a seed decides, one
// a line at most.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Planted } from "./by-tests.ts";
import { type Change, typescriptChanges } from "./changes.ts";
import { kernelChanges } from "./kernel-changes.ts";
import { git, repository } from "./tree.ts";

export interface Drawn extends Planted {
  readonly kind: string;
  readonly line: number;
  /** The lines that the change is in, and what they become, without the white space around them. */
  readonly before: string;
  readonly after: string;
}

/** A fault that no test can find, since nothing differs. */
export interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

const generated = /\/generated\.ts$|\/index\.ts$|\/browser\.ts$/;

/** Up to `count` faults in a package's sources; with `since`, only in lines that were changed after that revision. */
export function draw(name: string, seed: string, count: number, since?: string): readonly Drawn[] {
  const folder = `packages/${name}/src/`;
  const files = git("ls-files", "--cached", "--others", "--exclude-standard", "--", folder)
    .split("\n")
    .filter((file) => /\.(ts|wgsl|cu|cuh)$/.test(file) && !generated.test(file));
  const changed = since === undefined ? undefined : changedLines(since, folder);
  const all = files
    .flatMap((file) => drawnFrom(file))
    .filter(({ file, line }) => changed?.get(file)?.has(line) ?? changed === undefined);
  const order = new Map(
    all.map((drawn) => [drawn, digest(`${seed} ${drawn.file} ${drawn.offset} ${drawn.before} ${drawn.after}`)]),
  );
  const lines = new Set<string>();
  return all
    .sort((a, b) => (order.get(a)! < order.get(b)! ? -1 : 1)) // every one has its digest
    .filter(({ file, line }) => !lines.has(`${file}:${line}`) && lines.add(`${file}:${line}`))
    .slice(0, count);
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

function drawnFrom(file: string): readonly Drawn[] {
  const original = readFileSync(join(repository, file), "utf8");
  const changes = file.endsWith(".ts") ? typescriptChanges(file, original) : kernelChanges(original);
  return changes.map((change) => drawnFor(file, original, change));
}

function drawnFor(file: string, original: string, { kind, start, end, replacement }: Change): Drawn {
  const from = original.lastIndexOf("\n", start - 1) + 1;
  const next = original.indexOf("\n", end);
  const to = next < 0 ? original.length : next;
  const flat = (text: string): string => text.trim().replace(/\s+/g, " ");
  return {
    file,
    original,
    text: original.slice(0, start) + replacement + original.slice(end),
    offset: start,
    kind,
    line: original.slice(0, start).split("\n").length,
    before: flat(original.slice(from, to)),
    after: flat(original.slice(from, start) + replacement + original.slice(end, to)),
  };
}

/** Lines that are new or changed after a revision, by file. */
function changedLines(since: string, folder: string): ReadonlyMap<string, ReadonlySet<number>> {
  const lines = new Map<string, Set<number>>();
  let file = "";
  for (const row of git("diff", "-U0", "--no-color", since, "--", folder).split("\n")) {
    if (row.startsWith("+++ ")) file = row.slice("+++ b/".length);
    const [, first, count = "1"] = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(row) ?? [];
    if (first === undefined) continue;
    const known = lines.get(file) ?? new Set<number>();
    lines.set(file, known);
    for (let i = 0; i < Number(count); i++) known.add(Number(first) + i);
  }
  return lines;
}
