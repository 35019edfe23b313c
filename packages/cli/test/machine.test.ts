import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run, runHere } from "./captured.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("doctor proves each backend by a run, and tells where the cache is", async () => {
  const cache = join(folder, "cache");
  const { code, stdout } = await run(["doctor", "--json", "--backend", "onnxruntime", "--cache-folder", cache]);
  const report = JSON.parse(stdout);
  expect(code).toBe(0);
  expect(report.ok).toBe(true);
  expect(report.node).toBe(process.version);
  expect(report.backends).toMatchObject([
    { name: "cpu", works: true, details: { "instruction set": report.cpu.instructionSets[0] } },
    { name: "onnxruntime", works: true },
    { name: "webgpu" },
    { name: "cuda", works: report.cuda.available },
    { name: "reference", works: true },
  ]);
  if (!report.cuda.available) expect(report.cuda.reason).toMatch(/NVIDIA driver|card/);
  const [first] = report.models;
  expect(first).toMatchObject({
    backend: "cpu",
    models: [{ model: "llama-2-7b", limit: "memory" }, { model: "llama-2-13b" }, { model: "llama-2-70b" }],
  });
  for (const { verdict, weights, cache, scratch, available } of first.models)
    expect(verdict).toBe(weights + cache + scratch <= available ? "fits" : "does not fit");
  const webgpu = report.backends.find(({ name }: { name: string }) => name === "webgpu");
  expect(report.models.some(({ backend }: { backend: string }) => backend === "webgpu")).toBe(webgpu.works);
  expect(report.cache.folder).toBe(cache);
  expect(report.cache.bytes).toBeGreaterThan(1e6);
});

test("doctor fails when the chosen backend does not work, and says why and what works", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  vi.stubEnv("TMPDIR", join(file, "tmp")); // no place for packed weights
  const { code, stdout } = await runHere("doctor", "--backend", "onnxruntime", "--cache-folder", join(file, "cache"));
  vi.unstubAllEnvs();
  expect(code).toBe(1);
  expect(stdout).toMatch(/onnxruntime: does not work\n.*cannot be written/);
  expect(stdout).toMatch(/use --backend cpu/);
  const other = await run(["doctor", "--backend", "reference"]);
  expect(other.code).toBe(0);
});

test("bench prints medians of its runs", async () => {
  const args = ["--backend", "reference", "--prompt-tokens", "8", "--generate-tokens", "4", "--repeat", "2"];
  const { code, stdout } = await run(["bench", "--json", ...args]);
  expect(code).toBe(0);
  const result = JSON.parse(stdout);
  expect(result.runs).toHaveLength(2);
  const mean = (result.runs[0].decode + result.runs[1].decode) / 2;
  expect(result.decodeTokensPerSecond).toBeCloseTo(mean, 12);
  expect(result.peakBytes).toBeGreaterThan(50e6);
});

test("demo writes verse and a passage", async () => {
  const { code, stdout } = await run(["demo"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/春夜\n李白\n(\p{L}+，\p{L}+。\n)+\n/u);
  expect(stdout).toMatch(/The little tailor went into the forest, and [^\n]{50,}\n/);
});
