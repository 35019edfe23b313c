// `npm run conformance -- --backend cpu`: runs the suite on a backend, prints the worst of each kind beside
// what was recorded, keeps the results as JSON and writes CONFORMANCE.md anew from the results of all backends.
// `--filter`, `--training` and `--list` for some cases; then nothing is kept, or with `--keep` put among what was recorded.
// `--bounds` runs no backend: it records what cases allow one; `--losses` a training run of 200 steps.

import {
  addressFilter,
  type BackendResults,
  besideLines,
  boundsOf,
  type CaseResult,
  type ConformanceCase,
  conformanceCases,
  goldenLosses,
  inNameOf,
  isAsExpected,
  judge,
  unmatched,
  widened,
} from "@polyllama/conformance";
import { PolyllamaError } from "@polyllama/core";
import { readArguments } from "../scripts/arguments.mjs";
import type { Environment } from "./environments/environment.ts";
import { local } from "./environments/local.ts";
import { type Subject, subjects } from "./environments/subjects.ts";
import {
  keepResults,
  readBounds,
  readExpectations,
  readResults,
  writeBounds,
  writeLosses,
  writeSummary,
} from "./records.ts";

const options = readArguments(
  "npm run conformance",
  "Runs the conformance suite on a backend and writes CONFORMANCE.md.",
  {
    backend: { type: "string", default: "cpu", about: "backend and environment" },
    keep: { type: "boolean", default: false, about: "with --filter: put the results among those recorded" },
    filter: { type: "string", about: "addresses of cases to run, such as op:linear:format=q4_0" },
    training: { type: "boolean", default: false, about: "only cases of training, as with a filter" },
    list: { type: "boolean", default: false, about: "print the addresses of cases and run none" },
    summary: { type: "boolean", default: false, about: "write CONFORMANCE.md from recorded results" },
    bounds: { type: "boolean", default: false, about: "record what cases allow the backend, which is not run" },
    losses: { type: "boolean", default: false, about: "record the losses of a training run, and what is allowed" },
    seed: { type: "string", default: "1", about: "seed of the cases" },
  },
);
const seed = Number(options.seed);
const subject = subjects[options.backend];
/** Whether all cases are run. */
const isWhole = options.filter === undefined && !options.training;

try {
  const wanted = options.filter === undefined ? () => true : addressFilter(options.filter);
  const cases = conformanceCases().filter(
    ({ address, training = false }) => wanted(address) && (training || !options.training),
  );
  if (cases.length === 0) throw new PolyllamaError("ERR_OPTION", "No case matches; --list shows them.");
  if (!Number.isSafeInteger(seed)) throw new PolyllamaError("ERR_OPTION", "The seed is no integer.");
  if (options.list) for (const { address } of cases) console.log(address);
  else if (options.summary) await writeSummary();
  else if (subject === undefined) {
    const known = Object.keys(subjects).join(", ");
    throw new PolyllamaError("ERR_OPTION", `There is no backend "${options.backend}". Known: ${known}.`);
  } else
    process.exitCode = await (options.losses
      ? recordLosses(subject)
      : options.bounds
        ? recordBounds(subject, cases)
        : run(options.backend, subject, cases));
} catch (error) {
  if (!(error instanceof PolyllamaError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function run(name: string, subject: Subject, cases: readonly ConformanceCase[]): Promise<number> {
  const { title } = subject;
  const expectations = await readExpectations(subject.expectations);
  const addresses = conformanceCases().map(({ address }) => address);
  const stale = unmatched(expectations, addresses);
  if (stale.length > 0) throw new PolyllamaError("ERR_OPTION", `No case has what is expected: ${stale.join(", ")}.`);
  await using environment = await subject.open();
  const before = (await readResults()).get(name);
  let bad = 0;
  const results = await runAll(environment, cases, (result) => {
    const { verdict, reason } = judge(result, expectations);
    if (!isAsExpected(verdict)) bad++;
    if (verdict === "passed" && isWhole) return undefined;
    return `${verdict}: ${result.address}, worst ${result.worst.toPrecision(3)}${reason && `, ${reason}`}`;
  });
  const ran = new Set(results.map(({ address }) => address));
  const recorded = before?.results.filter(({ address }) => ran.has(address)) ?? [];
  for (const line of besideLines(results, recorded)) console.log(line);
  const wider = seed === 1 ? printWidened(await readBounds(subject.bounds), results) : 0;
  if (isWhole || options.keep) {
    const { device, details } = environment.info;
    const { library: _, ...versions } = details;
    const kept: BackendResults = {
      backend: title,
      device,
      details: { ...versions, node: process.version, platform: `${process.platform} ${process.arch}` },
      date: new Date().toISOString().slice(0, 10),
      seed,
      expectations,
      results: results.map(({ allowed: _, ...result }) => ({ ...result, worst: Number(result.worst.toPrecision(4)) })),
    };
    await keepResults(name, kept, isWhole ? undefined : before);
  }
  const unsupported = results.filter(({ status }) => status === "unsupported").length;
  const good = results.length - bad;
  console.log(
    `${title}: ${good} of ${results.length} cases as they should be, ${bad} not, ${unsupported} unsupported, ` +
      `${wider} allow more than recorded`,
  );
  return bad + wider === 0 ? 0 : 1;
}

/** Runs cases one by one, and prints of each what `say` gives. */
async function runAll(
  environment: Environment,
  cases: readonly ConformanceCase[],
  say: (result: CaseResult) => string | undefined,
): Promise<readonly CaseResult[]> {
  const erase = process.stderr.isTTY ? "\r\x1b[K" : "";
  const results: CaseResult[] = [];
  for (const [index, { address }] of cases.entries()) {
    if (process.stderr.isTTY) process.stderr.write(`${erase}${index + 1}/${cases.length} ${address}`);
    const result = await environment.run(address, seed);
    results.push(result);
    const line = say(result);
    if (line !== undefined) console.log(`${erase}${line}`);
  }
  process.stderr.write(erase);
  return results;
}

/** Records what cases allow a backend, unless one of them allows more than before. */
async function recordBounds(
  { bounds: name, roundings, trains = false }: Subject,
  cases: readonly ConformanceCase[],
): Promise<number> {
  const declared = await roundings();
  const isTried = (training = false): boolean => trains || !training;
  const bounded = cases.filter(({ ownBounds, training }) => ownBounds !== true && isTried(training));
  await using environment = local(inNameOf(declared), async () => inNameOf(declared));
  const results = await runAll(environment, bounded, ({ address, status, detail }) =>
    status === "passed" ? undefined : `${status}: ${address}, ${detail}`,
  );
  const before = await readBounds(name);
  if (printWidened(before, results) > 0) return 1;
  await writeBounds(name, { ...before, ...boundsOf(results) });
  return results.every(({ status }) => status === "passed") ? 0 : 1;
}

/** Records the exact losses of a training run, and how far from them those of a backend may be. */
async function recordLosses({ bounds: name, roundings }: Subject): Promise<number> {
  await writeLosses(name, await goldenLosses(await roundings()));
  return 0;
}

/** @returns how many there are. */
function printWidened(before: Awaited<ReturnType<typeof readBounds>>, results: readonly CaseResult[]): number {
  const wider = widened(before, boundsOf(results));
  for (const { address, before: old, now } of wider) {
    console.log(`wider: ${address}, mean and largest bound ${now.join(", ")}, before ${old.join(", ")}`);
  }
  return wider.length;
}
