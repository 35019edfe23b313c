// Faults that a seed draws: how many of them the project's tests find. Survivors are listed with place and change, so
// that a reader can say why; those known to change nothing are left out, with the reason in `equivalents.json`.

import { readFileSync } from "node:fs";
import { described } from "./by-hand.ts";
import { TestJudge } from "./by-tests.ts";
import { type Drawn, draw, type Equivalent } from "./draw.ts";
import type { Target } from "./targets.ts";

/** Of a hundred drawn faults so many have to be found. */
const requiredShare = 90;

const equivalents: readonly Equivalent[] = JSON.parse(
  readFileSync(new URL("equivalents.json", import.meta.url), "utf8"),
);

export interface DrawOptions {
  readonly seed: string;
  /** Of each target, at most. */
  readonly count: number;
  /** Only in lines changed since this revision. */
  readonly since?: string | undefined;
  /** Of what is drawn only what lies here, each as FILE:LINE. */
  readonly places?: readonly string[] | undefined;
}

/** Draws faults of each target and prints what finds them. @returns whether enough are found. */
export async function findDrawn(
  targets: readonly Target[],
  { seed, count, since, places }: DrawOptions,
): Promise<boolean> {
  using judge = await TestJudge.create();
  const tally = { found: 0, hangs: 0, survives: 0, equivalent: 0, "does not compile": 0 };
  process.stdout.write(`seed ${seed}${since === undefined ? "" : `, lines changed since ${since}`}\n`);
  for (const target of targets) {
    for (const drawn of draw(target.package, seed, count, since)) {
      if (places?.includes(`${drawn.file}:${drawn.line}`) === false) continue;
      const known = equivalents.find((entry) => isSame(entry, drawn));
      if (known !== undefined) {
        tally.equivalent++;
        process.stdout.write(`${placed(drawn)}: known to change nothing, since ${known.reason}\n`);
        continue;
      }
      const outcome = await judge.judge(drawn, target);
      tally[outcome.kind]++;
      process.stdout.write(`${placed(drawn)}: ${described(outcome)}\n`);
    }
  }
  const found = tally.found + tally.hangs;
  const total = found + tally.survives;
  process.stdout.write(
    `${found} of ${total} found (${tally.hangs} of them hang), ${tally.survives} not; besides, ` +
      `${tally.equivalent} known to change nothing and ${tally["does not compile"]} that do not compile\n`,
  );
  for (const test of judge.unsound) process.stdout.write(`Not asked, as it fails without a fault too: ${test}\n`);
  return found * 100 >= requiredShare * total;
}

function isSame(entry: Equivalent, { file, before, after }: Drawn): boolean {
  return entry.file === file && entry.before === before && entry.after === after;
}

function placed({ file, line, kind, before, after }: Drawn): string {
  return `${file}:${line} (${kind}): \`${before}\` -> \`${after}\``;
}
