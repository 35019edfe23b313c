// The mutation test: is the suite able to find faults? Faults are planted one by one, and the suite must report each with a
// number that is out of its bound. Operation cases are asked first; what they miss is left to whole models.

import { randomInt } from "node:crypto";
import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readArguments } from "../../scripts/arguments.mjs";
import type { Answer } from "./child.ts";
import { cleanIndex, copiesFolder, type Mutant, type MutatedPackage, plant } from "./mutant.ts";
import { mutants } from "./mutants.ts";
import { carryOut, cleanUpAtExit, inOrder } from "./process.ts";

/** Seconds until a mutant's process is given up. */
const limit = 300;
/** Of 30 faults the operation cases may miss one. */
const allowed = (count: number): number => Math.floor(count / 30);
/** Multiply-adds of a case that clean runs after the first leave out. */
const heavy = 2 ** 23;

const options = readArguments(
  "npm run conformance:mutants",
  "Plants faults in copies of the backends and prints what finds each.",
  {
    list: { type: "boolean", about: "what is planted" },
    only: { type: "string", multiple: true, about: "only this mutant" },
    "ops-only": { type: "boolean", about: "operation cases alone, without whole models" },
    "clean-runs": {
      type: "string",
      about: "instead: the clean tree so often with fresh seeds, which must give no finding",
    },
    seed: { type: "string", about: "seed of the cases, or of the first clean run" },
    jobs: { type: "string", about: "processes at a time" },
  },
);
const jobs = options.jobs === undefined ? Math.min(4, availableParallelism()) : count(options.jobs, "--jobs");

if (options.list) list();
else if (options["clean-runs"] !== undefined) await cleanRuns(count(options["clean-runs"], "--clean-runs"));
else await findAll();

function count(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  process.stderr.write(`${name} must be a positive integer, not ${text}.\n`);
  process.exit(2);
}

function list(): void {
  for (const { id, package: name, what } of mutants) process.stdout.write(`${name}  ${id}: ${what}\n`);
}

function chosen(): readonly Mutant[] {
  const { only } = options;
  const unknown = only?.find((id) => !mutants.some((mutant) => mutant.id === id));
  if (unknown !== undefined) {
    process.stderr.write(`There is no mutant ${unknown}; --list shows them.\n`);
    process.exit(2);
  }
  return only === undefined ? mutants : mutants.filter(({ id }) => only.includes(id));
}

async function findAll(): Promise<void> {
  cleanUpAtExit();
  const selection = chosen();
  const seed = options.seed === undefined ? 1 : count(options.seed, "--seed");
  const stages = options["ops-only"] ? (["op"] as const) : (["op", "model"] as const);
  const start = performance.now();
  let byOps = 0;
  let found = 0;
  const unsound = new Set<string>();
  const checked = new Map<string, Promise<boolean>>();
  /** Whether a case passes without a fault. */
  const sound = (name: MutatedPackage, address: string): Promise<boolean> => {
    const key = `${name} ${address}`;
    const order = { index: cleanIndex(name), package: name, seed, stages, only: [address] };
    const check = checked.get(key) ?? carryOut(order, limit).then(({ passed }) => passed === 1);
    checked.set(key, check);
    return check;
  };
  const look = async (mutant: Mutant): Promise<Answer> => {
    const { package: name } = mutant;
    const folder = join(copiesFolder(), mutant.id);
    const index = await plant(mutant, folder);
    for (;;) {
      const answer = await carryOut({ index, package: name, seed, stages, except: [...unsound] }, limit);
      const address = answer.found?.address;
      if (address === undefined || (await sound(name, address))) {
        await rm(folder, { recursive: true, force: true });
        return answer;
      }
      unsound.add(address);
    }
  };
  await inOrder(selection, jobs, look, (mutant, answer) => {
    if (answer.broken === undefined && answer.found !== undefined) {
      found++;
      if (answer.found.stage === "op") byOps++;
    }
    process.stdout.write(`${line(mutant, answer)}\n`);
  });
  const total = selection.length;
  const required = total - allowed(total);
  const seconds = Math.round((performance.now() - start) / 1000);
  const whole = options["ops-only"] ? "" : `, ${found} of ${total} by the whole suite`;
  process.stdout.write(
    `${byOps} of ${total} found by op cases (at least ${required} are required)${whole}; seed ${seed}, ${seconds} s\n`,
  );
  // Where mutants were chosen, what has to be found is what was chosen.
  const passed = options.only !== undefined ? found === total : byOps >= required && (found === total || whole === "");
  for (const address of unsound) process.stdout.write(`Not counted, as it fails without a fault too: ${address}\n`);
  if (!passed || unsound.size > 0) process.exitCode = 1;
}

function line({ id, package: name, what }: Mutant, { passed, broken, found }: Answer): string {
  const head = `${name === "backend-cpu" ? "cpu      " : "reference"}  ${id}: ${what}`;
  if (broken !== undefined) return `${head}\n           NOT A FAULT OF NUMBERS: ${broken}`;
  if (found === undefined) return `${head}\n           NOT FOUND by ${passed} cases`;
  return `${head}; found by ${found.address}, error/bound ${share(found.worst)}`;
}

function share(worst: string): string {
  const value = Number(worst);
  return Number.isFinite(value) ? value.toPrecision(3) : "infinite";
}

async function cleanRuns(runs: number): Promise<void> {
  cleanUpAtExit();
  const first = options.seed === undefined ? randomInt(1, 2 ** 31 - runs) : count(options.seed, "--seed");
  const items = Array.from({ length: runs }, (_, run) => run).flatMap((run) =>
    (["backend-cpu", "backend-reference"] as const).map((name) => ({ run, name })),
  );
  process.stdout.write(
    `The clean tree, ${runs} runs with fresh seeds. After the first, cases of more than ${heavy} multiply-adds are left out.\n`,
  );
  const start = performance.now();
  let findings = 0;
  await inOrder(
    items,
    jobs,
    ({ run, name }) =>
      carryOut(
        {
          index: cleanIndex(name),
          package: name,
          seed: first + run,
          stages: ["op", "model"],
          ...(run > 0 && { most: heavy }),
        },
        1200,
      ),
    ({ run, name }, { passed, skipped, broken, found }) => {
      const problem = broken ?? (found && `${found.address}: ${found.detail}`);
      if (problem !== undefined) findings++;
      const verdict = problem === undefined ? "no finding" : `FINDING: ${problem}`;
      const who = name === "backend-cpu" ? "cpu" : "reference judged as f32";
      process.stdout.write(
        `run ${run + 1}, seed ${first + run}, ${who}: ${passed} cases passed, ${skipped} left out, ${verdict}\n`,
      );
    },
  );
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(`${findings} findings in ${runs} runs of cpu and reference (${seconds} s)\n`);
  if (findings > 0) process.exitCode = 1;
}
