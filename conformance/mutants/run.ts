// The mutation test: are the suites able to find faults? Faults are planted one by one, by hand or drawn by a seed, and
// what would judge the change in a normal run must report each.

import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readArguments } from "../../scripts/arguments.mjs";
import { findDrawn } from "./automatic.ts";
import { cleanRuns, findByCases } from "./by-cases.ts";
import { findByHand } from "./by-hand.ts";
import { caseMutants, mutants, testMutants } from "./mutants.ts";
import { type Target, targets } from "./targets.ts";
import { git, repository } from "./tree.ts";

const options = readArguments(
  "npm run conformance:mutants",
  "Plants faults in copies of the sources and prints what finds each.",
  {
    list: { type: "boolean", about: "what is planted by hand" },
    target: { type: "string", about: `only this package: ${Object.keys(targets).join(", ")}` },
    only: { type: "string", multiple: true, about: "only this mutant" },
    "ops-only": { type: "boolean", about: "operation cases alone, without whole models" },
    count: { type: "string", about: "instead of those by hand: so many drawn ones of each package" },
    since: { type: "string", about: "drawn ones, only in lines changed since this revision" },
    at: { type: "string", multiple: true, about: "of the drawn ones only those at this place, as printed: FILE:LINE" },
    own: { type: "boolean", about: "ask the tests of the changed package alone" },
    seed: {
      type: "string",
      about: "seed of the cases, of the first clean run, or of the draw (default: the commit's hash)",
    },
    "clean-runs": {
      type: "string",
      about: "instead: the clean tree so often with fresh seeds, which must give no finding",
    },
    native: { type: "boolean", about: "only those of the cpu backend's kernels in C++; needs clang" },
    jobs: { type: "string", about: "processes at a time, for cases" },
  },
);
const jobs = options.jobs === undefined ? Math.min(4, availableParallelism()) : count(options.jobs, "--jobs");
const folders = (target: Target): Target => (options.own ? { ...target, tests: target.tests.slice(0, 1) } : target);
const named = options.target === undefined ? Object.keys(targets) : [options.target];
const chosenTargets = named.map((name) =>
  folders(targets[name] ?? refuse(`There is no target ${name}; --help lists them.`)),
);

const passed = options.native ? native() : options.list ? list() : await run();
if (!passed) process.exitCode = 1;

async function run(): Promise<boolean> {
  if (options["clean-runs"] !== undefined) {
    const runs = count(options["clean-runs"], "--clean-runs");
    const first = options.seed === undefined ? randomInt(1, 2 ** 31 - runs) : count(options.seed, "--seed");
    return await cleanRuns(runs, first, jobs);
  }
  if (options.count !== undefined || options.since !== undefined || options.at !== undefined) {
    const drawn = options.count === undefined ? Infinity : count(options.count, "--count");
    const seed = options.seed ?? git("rev-parse", "HEAD").trim();
    return await findDrawn(chosenTargets, { seed, count: drawn, since: options.since, places: options.at });
  }
  const ids = new Set(chosen().map(({ id }) => id));
  if (ids.size === 0) refuse("No fault is planted there by hand; draw some with --count.");
  const byCases = caseMutants.filter(({ id }) => ids.has(id));
  const byTests = testMutants.filter(({ id }) => ids.has(id));
  const strict = options.only !== undefined;
  const caseOptions = {
    jobs,
    strict,
    seed: options.seed === undefined ? 1 : count(options.seed, "--seed"),
    opsOnly: options["ops-only"] ?? false,
  };
  const cases = byCases.length === 0 || (await findByCases(byCases, caseOptions));
  const tests = byTests.length === 0 || (await findByHand(byTests, chosenTargets, strict));
  return cases && tests;
}

function count(text: string, name: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : refuse(`${name} must be a positive integer, not ${text}.`);
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

/** Faults in C++ are the package's own, as are the compiler's flags. */
function native(): boolean {
  const program = join(repository, "packages/backend-cpu/scripts/faults/run.ts");
  const rest = [...(options.list ? ["--list"] : []), ...(options.only ?? [])];
  return spawnSync(process.execPath, [...process.execArgv, program, ...rest], { stdio: "inherit" }).status === 0;
}

function list(): boolean {
  for (const { id, package: name, what } of chosen()) process.stdout.write(`${name}  ${id}: ${what}\n`);
  return true;
}

function chosen(): typeof mutants {
  const { only } = options;
  const unknown = only?.find((id) => !mutants.some((mutant) => mutant.id === id));
  if (unknown !== undefined) refuse(`There is no mutant ${unknown}; --list shows them.`);
  const packages = new Set(chosenTargets.map((target) => target.package));
  return mutants.filter(
    ({ id, package: own, judgedBy = own }) => packages.has(judgedBy) && only?.includes(id) !== false,
  );
}
