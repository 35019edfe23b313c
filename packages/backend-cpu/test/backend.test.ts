// Options, the description of the device, estimates, plans, and machines where the library cannot be loaded.

import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildGraph, type FormatName, type Graph, llamaGraph, presets } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { randomSource } from "@polyllama/test-support/weights";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cpu, cpuPlans, instructionSets } from "../src/index.ts";
import { keepFile, unpackLibrary } from "../src/native/library.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "polyllama-cpu-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  [{ thread: 2 }, /unknown option "thread"/],
  [{ threads: 0 }, /threads/],
  [{ threads: 1.5 }, /threads/],
  [{ activations: "f16" }, /activations/],
  [{ instructionSet: "" }, /instructionSet/],
])("cpu(%j) is refused", (options, message) => {
  const refused = expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(message) });
  expect(() => cpu(options as object)).toThrow(refused);
});

test("an instruction set that is not here is refused with those that are", async () => {
  await using device = cpu({ instructionSet: "avx1024" });
  const [best = ""] = instructionSets();
  expect(() => device.describe()).toThrow(
    expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(new RegExp(`avx1024.*${best}`)) }),
  );
});

test("describe() names the processor and what computes", async () => {
  await using device = cpu({ threads: 3 });
  const { backend, device: name, details } = device.describe();
  expect(backend).toBe("cpu");
  expect(name).not.toBe("");
  expect(details).toMatchObject({ threads: 3, activations: "int8", "instruction set": instructionSets()[0] });
  expect(readdirSync(join(String(details["library"]), ".."))).not.toEqual([]);
});

test("plain C++ is there on every machine, and comes last", () => {
  expect(instructionSets().at(-1)).toBe("plain");
});

test("roundings say what the option does", () => {
  expect(cpu().roundings.int8Activations?.block).toBe(32);
  expect(cpu().roundings.int8Activations?.formats).toContain("q2_k");
  expect(cpu({ activations: "f32" }).roundings.int8Activations).toBeUndefined();
});

const infosOf = (graph: Graph, format: FormatName) =>
  new Map(
    graph.weights.map(
      ({ name, shape }) => [name, { name, shape, format: shape.length === 1 ? "f32" : format }] as const,
    ),
  );

test("estimates follow the sizes", () => {
  const graph = llamaGraph(presets["llama-2-7b"]);
  const { weights, cache, scratch } = cpu().estimateMemory(graph, infosOf(graph, "q4_0"), 4096);
  expect(cache).toBe(2 * 32 * 4096 * 4096 * 4);
  const ofWeights = 6_738_415_616 * (4.5 / 8);
  expect(weights / ofWeights).toBeGreaterThan(1);
  expect(weights / ofWeights).toBeLessThan(1.001);
  // A chunk of 512 rows has gate, up and residual at once; beside them there are inputs in int8, queries and keys,
  // a quarter more so that steps can grow, and 16 MiB.
  const atOnce = 512 * (2 * 11008 + 4096) * 4;
  expect(scratch).toBeGreaterThan(1.25 * atOnce);
  expect(scratch).toBeLessThan(1.25 * (atOnce + 512 * 3 * 4096 * 4) + 2 ** 24);
});

test("a plan converts inputs of quantized matrices once, and those of others not", () => {
  const graph = llamaGraph({ ...presets["llama-2-7b"], layers: 1 });
  const kinds = (format: FormatName) => cpuPlans(graph, infosOf(graph, format)).all.steps.map(({ kind }) => kind);
  expect(kinds("q4_0").filter((kind) => kind === "convert").length).toBeGreaterThan(0);
  expect(kinds("f16")).not.toContain("convert");
  expect(kinds("q4_0")).not.toContain("swiglu"); // the conversion takes it over
});

test("a graph without anything to compute needs no run", async () => {
  const graph = buildGraph((g) => [g.activations("x", 3)]);
  await using device = cpu();
  await using loaded = await loadGraph(device, graph, randomSource(graph));
  const [x] = await loaded.run({ inputs: { x: Float32Array.of(1, 2, 3, 4, 5, 6) } }, [{ value: "x", rows: "last" }]);
  expect(Array.from(x!.data)).toEqual([4, 5, 6]);
});

test("steps that were computed before are right after the memory of values has moved", async () => {
  const graph = buildGraph((g) => [g.linear("y", g.activations("x", 32), g.weight("w", [32, 32]))]);
  await using device = cpu();
  const other = await loadGraph(device, graph, randomSource(graph));
  await using loaded = await loadGraph(device, graph, randomSource(graph));
  const rows = (count: number) => ({ inputs: { x: Float32Array.from({ length: 32 * count }, (_, i) => i % 32) } });
  const row = async (count: number) => Array.from((await loaded.run(rows(count), ["y"]))[0]!.data.subarray(0, 32));
  await other.run(rows(1), ["y"]);
  const before = await row(1);
  await other[Symbol.asyncDispose](); // what grows next goes where this was
  expect(await row(500)).toEqual(before);
  await using third = await loadGraph(device, graph, randomSource(graph)); // and this where that was
  await third.run(rows(500), ["y"]);
  expect(await row(1)).toEqual(before);
});

describe("the library", () => {
  test("where there is none for the platform, the error names the other backend", () => {
    expect(() => unpackLibrary("aix-ppc64")).toThrow(
      expect.objectContaining({
        code: "ERR_UNSUPPORTED",
        message: expect.stringMatching(/no kernels for aix-ppc64.*onnxruntime\(\) of @polyllama\/backend-onnxruntime/),
      }),
    );
  });

  test("where the package's file is damaged, the error names it", () => {
    writeFileSync(join(folder, "linux-x64.br"), "no brotli");
    expect(() => unpackLibrary("linux-x64", folder)).toThrow(
      expect.objectContaining({ code: "ERR_BACKEND", message: expect.stringContaining(join(folder, "linux-x64.br")) }),
    );
  });

  test("is kept under its hash, and written again where a copy is damaged", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const kept = join(folder, "kept");
    const path = keepFile(kept, bytes, ".so");
    expect(keepFile(kept, bytes, ".so")).toBe(path);
    writeFileSync(path, Uint8Array.of(1, 2, 4));
    expect(keepFile(kept, bytes, ".so")).toBe(path);
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    expect(readdirSync(kept)).toHaveLength(1);
  });

  test.skipIf(process.platform === "win32")(
    "where the cache cannot be written, a temporary folder serves and goes",
    () => {
      const [home, temporary] = [mkdtempSync(join(folder, "home-")), mkdtempSync(join(folder, "tmp-"))];
      const file = join(home, "file"); // where a folder is wanted, which even root cannot write into
      writeFileSync(file, "");
      chmodSync(file, 0o400);
      const index = fileURLToPath(new URL("../src/index.ts", import.meta.url));
      const program = `import { cpu } from ${JSON.stringify(index)}; console.log(cpu().describe().details.library);`;
      const script = join(temporary, "program.mts");
      writeFileSync(script, program);
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ["--conditions=@polyllama/source", "--import", "tsx", script],
        {
          encoding: "utf8",
          cwd: fileURLToPath(new URL("..", import.meta.url)),
          env: { ...process.env, HOME: file, XDG_CACHE_HOME: join(file, "cache"), TMPDIR: temporary },
        },
      );
      expect(stderr).toBe("");
      expect(stdout).toContain(join(temporary, "polyllama-libraries-"));
      expect(readdirSync(temporary).filter((name) => name.startsWith("polyllama-libraries-"))).toEqual([]);
    },
  );
});
