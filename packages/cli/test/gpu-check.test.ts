// The check of a GPU with the reference in the card's place: what it runs, what it finds, and how it ends.

import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cuda } from "@polyllama/backend-cuda";
import { reference } from "@polyllama/backend-reference";
import { conformanceCases } from "@polyllama/conformance";
import { type Backend, PolyllamaError } from "@polyllama/core";
import { describeWithEmulation, emulated } from "@polyllama/test-support/emulation";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GpuCheckContext, type GpuCheckOptions, notRunCode, runGpuCheck } from "../src/commands/gpu-check.ts";
import { Exit } from "../src/exit.ts";
import { type BenchTask, cudaTasks, modelTask, runTask } from "../src/gpu/bench.ts";
import { runTorch, sanitize, type TorchResult, torchMissing } from "../src/gpu/process.ts";
import { breadthFirst } from "../src/gpu/suite.ts";
import { captured } from "./captured.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-gpu-check-"));
});
afterAll(() => rm(folder, { recursive: true }));

const { signal } = new AbortController();
const few = conformanceCases().filter(({ address }) => /^op:(add|swiglu):.*=1;/.test(address));
const tiny: BenchTask = {
  label: "tiny",
  model: "synthetic://llama-2-7b?layers=2&dim=64&heads=4&kv_heads=2&hidden=96&vocab=259&context=64&format=q4_0",
  prefill: [8],
  contexts: [6],
  batches: { sizes: [1, 3], context: 4 },
};
const card = {
  available: true,
  number: 0,
  device: "stand-in",
  computeCapability: "9.0",
  driver: "13.0",
  memory: { free: 12 * 2 ** 30, total: 24 * 2 ** 30 },
} as const;
const context: GpuCheckContext = {
  signal,
  createBackend: async ({ backend }) => {
    if (backend === "webgpu") throw new PolyllamaError("ERR_BACKEND", "no adapter");
    return { ...named(), name: "cuda" };
  },
  cards: async () => ({ available: true, cards: [card] }),
  copyBandwidth: async () => 1e12,
  tensorPeak: async () => 1e14,
  findProgram: () => undefined,
  cases: few,
  tasks: [tiny],
  bench: { cache: "f32", tokens: 3 },
};
const all: GpuCheckOptions = {
  only: ["cards", "conformance", "sanitizer", "bench"],
  minutes: 5,
  output: "",
  seed: 1,
  webgpu: true,
};

/** The reference under f32's roundings. */
function named(): Backend {
  const backend = reference();
  return { ...backend, roundings: { ...backend.roundings, unit: 2 ** -24, exp: 4 } };
}

/** Runs a check; what it printed, how it ended, and its report. */
async function check(name: string, options: Partial<GpuCheckOptions>, changed: Partial<GpuCheckContext> = {}) {
  const output = join(folder, name);
  const chosen = { ...all, output, ...options };
  const { error, stdout } = await captured(() => runGpuCheck(chosen, { ...context, ...changed }));
  const code = error === undefined ? 0 : error instanceof Exit ? error.code : error;
  const report = JSON.parse(await readFile(`${output}.json`, "utf8"));
  return { code, stdout, report, markdown: await readFile(`${output}.md`, "utf8") };
}

test("with a card: every part runs or says why not, and the report has it all", async () => {
  const { code, stdout, report, markdown } = await check("card", {});
  expect(code).toBe(0);
  expect(report.status).toBe("passed");
  const [cuda, webgpu] = report.conformance;
  expect(cuda).toMatchObject({ backend: "cuda", total: few.length, ran: few.length, passed: few.length, failures: [] });
  expect(webgpu).toEqual({ backend: "webgpu", notRun: "no adapter" });
  expect(report.sanitizer).toEqual({ notRun: "compute-sanitizer is not in PATH" });
  const [{ measurements }] = report.bench.results;
  const what = measurements.map((entry: { what: string }) => entry.what);
  expect(what).toEqual(["load", "prefill 8", "decode at 6", "batch of 1 at 4", "batch of 3 at 4"]);
  for (const { value } of measurements) expect(value).toBeGreaterThan(0);
  expect(report.bench.torch).toEqual({ notRun: "python3 is not in PATH" });
  expect(markdown).toMatch(/llama-2-7b: q8_0, q4_k, q4_0$/m);
  expect(markdown).toMatch(/llama-2-70b: does not fit/);
  expect(markdown).toMatch(/\| tiny \| decode at 6 \| [\d.]+ tokens\/s \| [\d.]+ % \|/);
  expect(markdown).toMatch(/\| tiny \| prefill 8 \| [\d.]+ tokens\/s \| [\d.]+ % \|/);
  expect(markdown).toMatch(/bf16 products at 100\.0 TFLOP\/s by mma\.sync alone/);
  expect(stdout).toMatch(/^passed: All that was run is right/m);
});

test("without a driver: a code of its own, every measurement listed as not run", async () => {
  const cards = async () => ({ available: false, reason: "No NVIDIA driver" }) as const;
  const { code, stdout, report } = await check("none", { webgpu: false }, { cards, tasks: cudaTasks });
  expect(code).toBe(notRunCode);
  expect(report.status).toBe("not run");
  expect(report.conformance).toEqual([{ backend: "cuda", notRun: "no card" }]);
  const measured = report.bench.results.flatMap((result: { measurements: object[] }) => result.measurements);
  expect(measured).toHaveLength(7 * 5 + 2 * 4);
  for (const entry of measured) expect(entry).toMatchObject({ notRun: "no card" });
  expect(stdout).toMatch(/^not run: cuda was not run: No NVIDIA driver/m);
});

test("a wrong result, and a measurement that fails, are failures", async () => {
  const broken: Backend = {
    ...named(),
    name: "cuda",
    async compile(graph, weights, options) {
      const program = await named().compile(graph, weights, options);
      return {
        ...program,
        graph,
        [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
        createCache: (capacity) => program.createCache(capacity),
        async run(step, wanted, runOptions) {
          if (step.inputs["tokens"]?.length === 3) throw new Error("illegal address");
          const tensors = await program.run(step, wanted, runOptions);
          tensors[0]?.data.fill(0.5);
          return tensors;
        },
      };
    },
  };
  const { code, report, markdown } = await check("broken", {}, { createBackend: async () => broken });
  expect(code).toBe(1);
  expect(report.conformance[0].failures.length).toBeGreaterThan(0);
  expect(markdown).toMatch(/FAILED: illegal address/);
  expect(report.verdict).toMatch(/cases of cuda failed.*tiny, batch of 3 at 4 failed/);
});

test("a model that does not fit is not run, and neither is what there is no time for", async () => {
  const backend = named();
  const small = await runTask(backend, tiny, { signal, free: 1000 });
  expect(small.measurements).toHaveLength(5);
  for (const { notRun } of small.measurements) expect(notRun).toMatch(/takes .* GiB, and .* GiB are free/);
  const late = await runTask(backend, tiny, { signal: AbortSignal.abort() });
  expect(late.measurements.map(({ notRun }) => notRun)).toEqual([
    "out of time",
    ...Array(4).fill("the model was not loaded"),
  ]);
});

test("a model of one's own is measured as far as its context reaches", async () => {
  const model = tiny.model.replace("context=64", "context=140");
  const task = { ...modelTask(model), batches: { sizes: [2], context: 20 } };
  const { measurements } = await runTask(named(), task, { signal, cache: "f32", tokens: 3 });
  const ran = measurements.filter(({ value }) => value !== undefined).map(({ what }) => what);
  expect(ran).toEqual(["load", "decode at 128", "batch of 2 at 20"]);
  const rest = measurements.filter(({ value }) => value === undefined);
  expect(rest.map(({ what }) => what)).toEqual(["prefill 512", "prefill 2048", "decode at 4000"]);
  for (const { notRun } of rest) expect(notRun).toMatch(/takes \d+ positions, and the context has 140/);
});

test("the suite's order begins with the cheapest of every kind", () => {
  const cases = conformanceCases();
  const ordered = breadthFirst(cases).map(({ address }) => address);
  expect([...ordered].sort()).toEqual(cases.map(({ address }) => address).sort());
  for (const format of ["f32", "bf16", "q4_0", "q4_k", "q8_k"]) {
    expect(ordered.findIndex((address) => address.startsWith(`op:linear:format=${format};`))).toBeLessThan(120);
  }
  expect(ordered.slice(0, -30).some((address) => address.startsWith("model:layer:"))).toBe(false);
});

test("other programs: their findings are read, and their failures are reasons", async () => {
  const program = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${text}\n`);
    await chmod(path, 0o755);
    return path;
  };
  const limits = { seconds: 10, signal };
  const clean = await program("clean", 'echo "========= ERROR SUMMARY: 0 errors"');
  expect(await sanitize(clean, [], limits)).toMatchObject({ errors: 0 });
  const found = await program(
    "found",
    'echo "========= Invalid read"; echo "========= ERROR SUMMARY: 2 errors"; exit 1',
  );
  expect(await sanitize(found, [], limits)).toMatchObject({ errors: 2, summary: /Invalid read/ });
  const broken = await program("broken", "echo no device >&2; exit 1");
  expect(await sanitize(broken, [], limits)).toEqual({ notRun: "it ended without a summary: no device" });
  const slow = await program("slow", "exec sleep 30");
  expect(await sanitize(slow, [], { seconds: 0.2, signal })).toEqual({ notRun: "it took too long" });

  expect(await torchMissing(broken, limits)).toBe("no device");
  const torch = await program("torch", 'echo warning; echo \'{"torch":"2","transformers":"4","measurements":[]}\'');
  expect(await torchMissing(torch, limits)).toBeUndefined();
  expect(await runTorch(torch, limits)).toEqual({ torch: "2", transformers: "4", measurements: [] });
  const endless = await program(
    "endless",
    'echo \'{"torch":"2","transformers":"4","measurements":[{"mode":"eager","what":"prefill 8","value":3}]}\'; exec sleep 30',
  );
  const { measurements } = (await runTorch(endless, { seconds: 0.5, signal })) as TorchResult; // not the reason, as it printed some
  expect(measurements.map(({ what, notRun }) => [what, notRun])).toEqual([
    ["prefill 8", undefined],
    ["the rest", "it took too long"],
  ]);
});

await describeWithEmulation("on the emulated card", (emulation) => {
  test("the same check, through the driver's calls", async () => {
    const { code, report } = await check(
      "emulated",
      { only: ["conformance", "bench"], webgpu: false },
      {
        createBackend: async () => cuda(emulated(emulation)),
        copyBandwidth: () => cuda.copyBandwidth({ ...emulated(emulation), bytes: 4096 }),
        tensorPeak: () => cuda.tensorPeak(emulated(emulation)),
        bench: { tokens: 2 },
      },
    );
    expect(code).toBe(0);
    expect(report.conformance[0]).toMatchObject({ backend: "cuda", ran: few.length, failures: [] });
    expect(report.bench.bandwidth).toBeGreaterThan(0);
    expect(report.bench.peak.own).toBeGreaterThan(0);
    for (const entry of report.bench.results[0].measurements) expect(entry.value).toBeGreaterThan(0);
  });
});
