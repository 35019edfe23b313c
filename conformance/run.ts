// `npm run conformance -- --backend onnxruntime`: runs the suite on a backend, keeps its results as JSON and writes CONFORMANCE.md anew
// from the results of all backends. `--filter` and `--list` for single cases; then nothing is kept, or with `--keep` put among what was
// recorded. `--summary` writes CONFORMANCE.md alone, from the results that are there.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import {
  addressFilter,
  type BackendResults,
  type CaseResult,
  type ConformanceCase,
  casesNotRun,
  conformanceCases,
  type Expectations,
  isAsExpected,
  judge,
  loweredLimits,
  type SkippedBackend,
  summarize,
} from "@polyllama/conformance";
import { PolyllamaError } from "@polyllama/core";
import { readArguments } from "../scripts/arguments.mjs";
import { readSystem } from "../scripts/system.mjs";
import { chromium } from "./environments/chromium.ts";
import { deno } from "./environments/deno.ts";
import type { Environment, RemoteBackend } from "./environments/environment.ts";
import { local } from "./environments/local.ts";
import { createBackend } from "./environments/remote.ts";

const options = readArguments(
  "npm run conformance",
  "Runs the conformance suite on a backend and writes CONFORMANCE.md.",
  {
    backend: { type: "string", default: "onnxruntime", about: "backend and environment" },
    keep: { type: "boolean", default: false, about: "with --filter: put the results among those recorded" },
    filter: { type: "string", about: "addresses of cases to run, such as op:linear:format=q4_0" },
    list: { type: "boolean", default: false, about: "print the addresses of cases and run none" },
    summary: { type: "boolean", default: false, about: "write CONFORMANCE.md from recorded results" },
    seed: { type: "string", default: "1", about: "seed of the cases" },
  },
);

interface Subject {
  readonly title: string;
  /** Name of the file of what is known to fail. */
  readonly expectations: string;
  /** Why it may not have been run. */
  readonly absent?: string;
  /** @throws when it cannot run here */
  open(): Promise<Environment>;
}

const { chromium: browser, deno: denoProgram } = readSystem();
const onnxruntimeWith = (activations: "f32" | "int8"): Subject => ({
  title: `onnxruntime, activations ${activations}`,
  expectations: activations === "f32" ? "onnxruntime" : "onnxruntime-int8",
  open: async () =>
    local((await import("@polyllama/backend-onnxruntime")).onnxruntime({ activations, cacheFolder: false })),
});
const cudaWith = (activations: "f16" | "f32"): Subject => ({
  title: `cuda, activations ${activations}`,
  expectations: "cuda",
  absent: "no card was at hand; packages/backend-cuda/test runs small cases on the emulation",
  open: async () => local((await import("@polyllama/backend-cuda")).cuda({ activations })),
});
const dawn = (title: string, options: Omit<RemoteBackend, "name">): Subject => ({
  title: `webgpu, Node with Dawn${title}`,
  expectations: "webgpu",
  open: async () => {
    const backend: RemoteBackend = { name: "webgpu", ...options };
    return local(await createBackend(backend), () => createBackend({ ...backend, loweredLimits }));
  },
});
const subjects: Readonly<Record<string, Subject>> = {
  onnxruntime: onnxruntimeWith("f32"),
  "onnxruntime-int8": onnxruntimeWith("int8"),
  "webgpu-dawn": dawn("", {}),
  "webgpu-dawn-no-subgroups": dawn(", no subgroups", { features: { subgroups: false } }),
  "webgpu-dawn-hardware": dawn(", kernels for GPUs", { kernels: "hardware" }),
  "webgpu-dawn-hardware-no-subgroups": dawn(", kernels for GPUs, no subgroups", {
    kernels: "hardware",
    features: { subgroups: false },
  }),
  "webgpu-chromium": {
    title: "webgpu, Chromium",
    expectations: "webgpu",
    open: () => chromium(browser?.executable ?? missing("Chromium"), { name: "webgpu" }),
  },
  "webgpu-deno": {
    title: "webgpu, Deno",
    expectations: "webgpu",
    open: () => deno(denoProgram?.executable ?? missing("Deno"), { name: "webgpu" }),
  },
  cuda: cudaWith("f16"),
  "cuda-f32": cudaWith("f32"),
  // Takes minutes for each case of a published model's size: for use with --filter.
  "cuda-emulation": {
    title: "cuda, emulated",
    expectations: "cuda",
    absent: "it would take a day; packages/backend-cuda/test runs small cases",
    open: async () => {
      const { buildEmulation } = await import("@polyllama/backend-cuda/emulation");
      const { library, images } = await buildEmulation();
      return local((await import("@polyllama/backend-cuda")).cuda({ library, images }));
    },
  },
};

function missing(what: string): never {
  throw new Error(`${what} is missing; \`npm run setup:system\` installs it.`);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const resultsFolder = `${root}conformance/results/`;
const seed = Number(options.seed);
const subject = subjects[options.backend];

try {
  const wanted = options.filter === undefined ? () => true : addressFilter(options.filter);
  const cases = conformanceCases().filter(({ address }) => wanted(address));
  if (cases.length === 0) throw new PolyllamaError("ERR_OPTION", "No case matches; --list shows them.");
  if (!Number.isSafeInteger(seed)) throw new PolyllamaError("ERR_OPTION", "The seed is no integer.");
  if (options.list) for (const { address } of cases) console.log(address);
  else if (options.summary) await writeSummary();
  else if (subject !== undefined) process.exitCode = await run(options.backend, subject, cases);
  else {
    const known = Object.keys(subjects).join(", ");
    throw new PolyllamaError("ERR_OPTION", `There is no backend "${options.backend}". Known: ${known}.`);
  }
} catch (error) {
  if (!(error instanceof PolyllamaError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function run(
  name: string,
  { title, expectations: known, open }: Subject,
  cases: readonly ConformanceCase[],
): Promise<number> {
  const expectations: Expectations = JSON.parse(
    await readFile(`${root}conformance/expectations/${known}.json`, "utf8"),
  );
  await using environment = await open();
  const results: CaseResult[] = [];
  let bad = 0;
  for (const [index, testCase] of cases.entries()) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${index + 1}/${cases.length} ${testCase.address}`);
    const result = await environment.run(testCase.address, seed);
    const { verdict, reason } = judge(result, expectations);
    results.push({ ...result, worst: Number(result.worst.toPrecision(4)) });
    if (verdict === "passed" && options.filter === undefined) continue;
    if (!isAsExpected(verdict)) bad++;
    console.log(
      `${process.stderr.isTTY ? "\r\x1b[K" : ""}${verdict}: ${result.address}, worst ${result.worst.toPrecision(3)}${reason && `, ${reason}`}`,
    );
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  if (options.filter === undefined || options.keep) {
    const before = options.filter === undefined ? undefined : (await allResults()).get(name);
    const { device, details } = environment.info;
    const { library: _, ...versions } = details;
    const kept: BackendResults = {
      backend: title,
      device,
      details: { ...versions, node: process.version, platform: `${process.platform} ${process.arch}` },
      date: new Date().toISOString().slice(0, 10),
      seed,
      expectations,
      results,
    };
    const merged = before === undefined ? kept : merge(before, kept);
    await writeFile(`${resultsFolder}${name}.json`, `${JSON.stringify(merged, undefined, 1)}\n`);
    await writeSummary();
  }
  const unsupported = results.filter(({ status }) => status === "unsupported").length;
  console.log(
    `${title}: ${results.length - bad} of ${results.length} cases as they should be, ${bad} not, ${unsupported} unsupported`,
  );
  return bad === 0 ? 0 : 1;
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

async function writeSummary(): Promise<void> {
  const kept = await allResults();
  await writeFile(`${root}CONFORMANCE.md`, summarize([...kept.values()], notRun(kept)));
}

/** By name of the backend. */
async function allResults(): Promise<ReadonlyMap<string, BackendResults>> {
  const kept = new Map<string, BackendResults>();
  for (const file of (await readdir(resultsFolder)).sort()) {
    if (!file.endsWith(".json")) continue;
    kept.set(file.slice(0, -".json".length), JSON.parse(await readFile(resultsFolder + file, "utf8")));
  }
  return kept;
}

function notRun(kept: ReadonlyMap<string, BackendResults>): readonly SkippedBackend[] {
  return Object.entries(subjects).flatMap(([name, { title, absent }]) => {
    const run = kept.get(name);
    if (run === undefined) return [{ backend: title, reason: absent ?? "not run yet" }];
    const reason = casesNotRun(run);
    return reason === undefined
      ? []
      : [{ backend: title, reason: absent === undefined ? reason : `${reason}: ${absent}` }];
  });
}
