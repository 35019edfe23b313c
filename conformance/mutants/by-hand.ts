// Faults planted by hand that the project's tests have to find.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Outcome, TestJudge } from "./by-tests.ts";
import { type Mutant, patched } from "./mutant.ts";
import type { Target } from "./targets.ts";
import { repository } from "./tree.ts";

/** Of 30 faults one may be missed. */
const allowed = (count: number): number => Math.floor(count / 30);

/** Prints what finds each fault. @returns whether enough are found: all but one of thirty, or with `strict` all. */
export async function findByHand(
  selection: readonly Mutant[],
  targets: readonly Target[],
  strict: boolean,
): Promise<boolean> {
  const start = performance.now();
  using judge = await TestJudge.create();
  let found = 0;
  for (const mutant of selection) {
    const { id, package: folder, judgedBy = folder, file: path, find, what } = mutant;
    const target = targets.find((entry) => entry.package === judgedBy);
    if (target === undefined) throw new Error(`${id}: ${judgedBy} is no target`);
    const file = `packages/${folder}/src/${path}`;
    const original = await readFile(join(repository, file), "utf8");
    const text = await patched(mutant);
    const outcome = await judge.judge({ file, original, text, offset: original.indexOf(find) }, target);
    if (outcome.kind === "found" || outcome.kind === "hangs") found++;
    process.stdout.write(`${folder}  ${id}: ${what}; ${described(outcome)}\n`);
  }
  const required = selection.length - (strict ? 0 : allowed(selection.length));
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(
    `${found} of ${selection.length} found by tests (at least ${required} are required), ${seconds} s\n`,
  );
  for (const test of judge.unsound) process.stdout.write(`Not asked, as it fails without a fault too: ${test}\n`);
  return found >= required;
}

/** An outcome as the end of a line. */
export function described(outcome: Outcome): string {
  switch (outcome.kind) {
    case "found":
      return `found by ${outcome.test}, "${outcome.title}": ${outcome.message}`;
    case "hangs":
      return `found, as ${outcome.test} does not end`;
    case "does not compile":
      return `DOES NOT COMPILE: ${outcome.message}`;
    case "survives":
      return `NOT FOUND by ${outcome.judges} test files that call it`;
  }
}
