import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { forwardDevice } from "@polyllama/conformance";
import type { WeightSource } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runParity } from "../src/commands/parity.ts";
import type { ParityOptions } from "../src/parity/options.ts";
import { captured, run, runHere } from "./captured.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

const signal = new AbortController().signal;
const few: ParityOptions = { backends: ["cpu", "reference"], tokens: 2, seed: 1 };

/** The reference under f32's roundings, which reads one element of a weight with the other sign. */
function faulty(name: string): Device {
  const device = reference();
  const changed = (source: WeightSource): WeightSource => ({
    ...source,
    async read(weight, ranges, abort) {
      const bytes = await source.read(weight, ranges, abort);
      if (weight === name) bytes[1]! ^= 0x80;
      return bytes;
    },
  });
  return forwardDevice(device, {
    name: "cpu",
    roundings: { ...device.roundings, unit: 2 ** -24, exp: 4 },
    loadParameters: (graphs, source, options) => device.loadParameters(graphs, changed(source), options),
  });
}

test.each(["cpu", "onnxruntime"])("%s and reference agree: exit code 0, as JSON and as a report", async (name) => {
  const report = join(folder, "report.html");
  const args = ["parity", "--backends", `${name},reference`, "--tokens", "4", "--json", "--report", report];
  const { code, stdout } = await run(args);
  expect(code).toBe(0);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({
    agrees: true,
    judge: "reference",
    node: process.version,
    backends: [{ name, status: "agrees", device: { details: { activations: "f32" } } }],
  });
  expect(result.polyllama).toMatch(/^\d+\.\d+\.\d+/);
  expect(result.platform).toContain(process.platform);
  expect(Date.parse(result.date)).toBeGreaterThan(Date.parse("2020-01-01"));
  expect(result.tokens).toHaveLength(4);
  const html = await readFile(report, "utf8");
  expect(html).toContain(result.verdict);
  expect(html).toContain("<svg ");
});

test("with a planted fault: exit code 1, the layer and the operation named", async () => {
  const file = join(folder, "fault.json");
  const createBackend = async () => faulty("layers.1.attention.wo.weight");
  const { error, stdout } = await captured(() => runParity({ ...few, jsonFile: file }, { signal, createBackend }));
  expect(error).toMatchObject({ name: "Exit", code: 1 });
  expect(stdout).toMatch(/\ncpu differs from reference: first in layers\.1, linear \(wo\): error [\d.]+x its bound\n$/);
  const result = JSON.parse(await readFile(file, "utf8"));
  expect(result.backends[0].first).toMatchObject({ layer: 1, op: "linear", value: "wo" });
});

test("a backend that cannot start is not run: exit code 1", async () => {
  const createBackend = async () => {
    throw new Error("no driver");
  };
  const { error, stdout, stderr } = await captured(() =>
    runParity({ ...few, backends: ["cpu"] }, { signal, createBackend }),
  );
  expect(error).toMatchObject({ name: "Exit", code: 1 });
  expect(stdout).toBe("cpu not run: no driver\n");
  expect(stderr).toMatch(/The reference judges, so it is added/);
});

test("activations go to the backends that have them", async () => {
  const asked: unknown[] = [];
  const createBackend = async (options: unknown) => {
    asked.push(options);
    throw new Error("no driver");
  };
  const backends = ["cpu", "onnxruntime", "cuda", "webgpu"] as const;
  for (const activations of ["int8", "f16", "f32"] as const) {
    await captured(() => runParity({ ...few, backends, activations }, { signal, createBackend }));
  }
  const onProcessor = (asked: "int8" | "f32") => [
    { backend: "cpu", cache: false, activations: asked },
    { backend: "onnxruntime", cache: false, activations: asked },
  ];
  const webgpu = { backend: "webgpu" };
  expect(asked).toEqual([
    ...[...onProcessor("int8"), { backend: "cuda" }, webgpu],
    ...[...onProcessor("f32"), { backend: "cuda", activations: "f16" }, webgpu],
    ...[...onProcessor("f32"), { backend: "cuda", activations: "f32" }, webgpu],
  ]);
});

test.each([
  [["--backends", "gpu"], /"gpu" is no backend; there are cpu, onnxruntime, webgpu, cuda, reference/],
  [["--backends", "reference"], /cannot be compared with itself/],
  [["--text", "a", "--tokens", "3"], /cannot be used with/],
  [["--tokens", "100000"], /exceeds the model's context of 2048/],
  [["--text", "a ".repeat(3000)], /--text has [\d,]+ tokens; 1 to 2048 are possible/],
  [["--report", "/no/such/folder/x.html"], /--report .*: the folder \/no\/such\/folder does not exist/],
  [["--json-file", "/no/such/folder/x.json"], /--json-file .*: the folder \/no\/such\/folder does not exist/],
  [["--layers", "3"], /Allowed choices are all/],
  [["--activations", "int4"], /Allowed choices are int8, f16, f32/],
  [["--activations", "f16"], /--activations f16 belongs to cuda, and --backends is cpu,reference/],
  [
    ["--backends", "cuda", "--activations", "int8"],
    /--activations int8 belongs to cpu and onnxruntime, and --backends is cuda/,
  ],
  [
    ["--backends", "webgpu", "--activations", "f32"],
    /--activations f32 belongs to cpu, onnxruntime and cuda, and --backends is webgpu/,
  ],
  [
    ["--backends", "webgpu,cuda", "--threads", "2"],
    /--threads belongs to cpu and onnxruntime, and --backends is webgpu,cuda/,
  ],
])("wrong usage %j", async (args, message) => {
  const { code, stdout, stderr } = await runHere("parity", ...args);
  expect(stderr).toMatch(message);
  expect(stdout).toBe("");
  expect(code).toBe(2);
});
