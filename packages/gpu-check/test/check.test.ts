// The check of a card with the reference in the card's place: what it runs, what it finds, and how it ends.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cuda } from "@polyllama/backend-cuda";
import { forwardDevice, forwardDeviceProgram } from "@polyllama/conformance";
import { PolyllamaError } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { describeWithEmulation, emulated } from "@polyllama/test-support/emulation";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runGpuCheck } from "../src/check.ts";
import type { GpuCheckContext } from "../src/context.ts";
import { type GpuCheckOptions, notRunCode, sections } from "../src/options.ts";
import { cudaTasks } from "../src/speed/tasks.ts";
import { few, standIn, tiny } from "./stand-in.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-gpu-check-"));
});
afterAll(() => rm(folder, { recursive: true }));

const context: Omit<GpuCheckContext, "print"> = {
  version: "1.2.3",
  signal: new AbortController().signal,
  note: () => undefined,
  createBackend: async (name) => {
    if (name === "webgpu") throw new PolyllamaError("ERR_BACKEND", "no adapter");
    return standIn();
  },
  card: () => ({
    available: true,
    device: "stand-in",
    computeCapability: "9.0",
    driver: "13.0",
    memory: { free: 12 * 2 ** 30, total: 24 * 2 ** 30 },
  }),
  copyBandwidth: async () => 1e12,
  tensorPeak: async () => 1e14,
  findProgram: () => undefined,
  cases: few,
  tasks: [tiny],
  bench: { cache: "f32", tokens: 3 },
};
const all: GpuCheckOptions = { only: sections, minutes: 5, output: "", device: 0, seed: 1, webgpu: true };

/** Runs a check; what it printed, how it ended, and its report. */
async function check(name: string, options: Partial<GpuCheckOptions>, changed: Partial<GpuCheckContext> = {}) {
  const output = join(folder, name);
  const lines: string[] = [];
  const print = (line = ""): void => void lines.push(line);
  const code = await runGpuCheck({ ...all, output, ...options }, { ...context, print, ...changed });
  const report = JSON.parse(await readFile(`${output}.json`, "utf8"));
  return { code, stdout: lines.join("\n"), report, markdown: await readFile(`${output}.md`, "utf8") };
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
  expect(markdown).toMatch(/^0: stand-in, compute capability 9.0, 12.0 of 24.0 GiB free, driver for CUDA 13.0$/m);
  expect(markdown).toMatch(/\| tiny \| decode at 6 \| [\d.]+ tokens\/s \| [\d.]+ % \|/);
  expect(markdown).toMatch(/\| tiny \| prefill 8 \| [\d.]+ tokens\/s \| [\d.]+ % \|/);
  expect(markdown).toMatch(/bf16 products at 100\.0 TFLOP\/s by mma\.sync alone/);
  expect(stdout).toMatch(/^passed: All that was run is right/m);
});

test("without a driver: a code of its own, every measurement listed as not run", async () => {
  const card = () => ({ available: false, reason: "No NVIDIA driver" }) as const;
  const { code, stdout, report } = await check("none", { webgpu: false }, { card, tasks: cudaTasks });
  expect(code).toBe(notRunCode);
  expect(report.status).toBe("not run");
  expect(report.conformance).toEqual([{ backend: "cuda", notRun: "no card" }]);
  const measured = report.bench.results.flatMap((result: { measurements: object[] }) => result.measurements);
  expect(measured).toHaveLength(7 * 5 + 2 * 4);
  for (const entry of measured) expect(entry).toMatchObject({ notRun: "no card" });
  expect(stdout).toMatch(/^not run: cuda was not run: No NVIDIA driver/m);
});

test("a wrong result, and a measurement that fails, are failures", async () => {
  const broken = async (): Promise<Device> => {
    const device = standIn();
    return forwardDevice(device, {
      async compile(...given) {
        const program = await device.compile(...given);
        return forwardDeviceProgram(program, {
          submit(step, signal) {
            if (step.sequences.length === 3) throw new Error("illegal address");
            const submission = program.submit(step, signal);
            const result = submission.result.then((values) => {
              for (const value of values) if (value.to === "host") value.tensor.data.fill(0.5);
              return values;
            });
            return { ...submission, result };
          },
        });
      },
    });
  };
  const { code, report, markdown } = await check("broken", {}, { createBackend: broken });
  expect(code).toBe(1);
  expect(report.conformance[0].failures.length).toBeGreaterThan(0);
  expect(markdown).toMatch(/FAILED: illegal address/);
  expect(report.verdict).toMatch(/cases of cuda failed.*tiny, batch of 3 at 4 failed/);
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
