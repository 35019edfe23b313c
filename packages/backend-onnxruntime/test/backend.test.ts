// Options, the description of the device, estimates, and a machine without ONNX Runtime.

import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildGraph, llamaGraph, presets } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { defaultCacheFolder, onnxRuntimeStatus, onnxruntime } from "../src/index.ts";
import { planLayout } from "../src/pack/layout.ts";
import { temporaryFolder } from "./support.ts";

test.each([
  [{ thread: 2 }, /unknown option "thread"/],
  [{ threads: 0 }, /threads/],
  [{ threads: 1.5 }, /threads/],
  [{ activations: "f16" }, /activations/],
  [{ cacheFolder: true }, /cacheFolder/],
  [{ cacheLimit: -1 }, /cacheLimit/],
])("onnxruntime(%j) is refused", (options, message) => {
  const refused = expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(message) });
  expect(() => onnxruntime(options as object)).toThrow(refused);
});

test("describe() names the processor and what computes", () => {
  const { backend, device, details } = onnxruntime({ threads: 3 }).describe();
  expect(backend).toBe("onnxruntime");
  expect(device).not.toBe("");
  expect(details).toMatchObject({ threads: 3, activations: "int8", onnxruntime: expect.stringMatching(/^1\./) });
});

test("roundings say what the option does", () => {
  expect(onnxruntime().roundings.int8Activations?.block).toBe(32);
  expect(onnxruntime().roundings.int8Activations?.formats).toContain("q2_k");
  expect(onnxruntime({ activations: "f32" }).roundings.int8Activations).toBeUndefined();
});

test("the default cache folder lies under the user's home", () => {
  expect(defaultCacheFolder()).toMatch(/polyllama/);
});

test("linears over one value in one format share a matrix, others do not", () => {
  const graph = llamaGraph({ ...presets["llama-2-7b"], layers: 1 });
  const formatOf = (name: string) => (name.includes("wv") ? "q6_k" : "q4_k");
  const infos = new Map(
    graph.weights.map(({ name, shape }) => {
      return [name, { name, shape, format: shape.length === 1 ? ("f32" as const) : formatOf(name) } as const];
    }),
  );
  const { packed, places } = planLayout([graph], infos, "int8");
  const beside = (weight: string) => packed.get(places.get(`layers.0.${weight}.weight`)!.group)!.members;
  const weights = (weight: string) => beside(weight).map((member) => member.weight.split(".").at(-2));
  expect(weights("attention.wq")).toEqual(["wq", "wk"]);
  expect(weights("attention.wv")).toEqual(["wv"]);
  expect(weights("feed_forward.w3")).toEqual(["w1", "w3"]);
});

test("estimates follow the sizes", () => {
  const graph = llamaGraph(presets["llama-2-7b"]);
  const infos = new Map(
    graph.weights.map(({ name, shape }) => {
      return [name, { name, shape, format: shape.length === 1 ? ("f32" as const) : ("q4_0" as const) }];
    }),
  );
  const { weights, cache } = onnxruntime().estimateMemory(graph, infos, 4096);
  expect(cache).toBe(2 * 32 * 4096 * 4096 * 4 + 4096 * 4); // keys and values, and tokens
  const linears = 6_738_415_616 - 32000 * 4096; // the embedding table is not loaded
  expect(weights / (linears / 8)).toBeGreaterThan(7);
  expect(weights / (linears / 8)).toBeLessThan(7.1);
});

describe("without onnxruntime-node", () => {
  test("the status says what to install", () => {
    const status = onnxRuntimeStatus(() => {
      throw new Error("Cannot find module");
    });
    expect(status).toMatchObject({
      found: false,
      code: "ERR_BACKEND",
      reason: expect.stringContaining("ONNXRUNTIME_NODE_INSTALL=skip npm install -g"),
    });
  });
  test("a package without this platform's file is named", () => {
    const status = onnxRuntimeStatus(() => new URL("../package.json", import.meta.url).pathname);
    expect(status).toMatchObject({
      found: false,
      reason: expect.stringMatching(/backend-onnxruntime lacks .*onnxruntime/),
    });
  });
  test("with it, version and path", () => {
    expect(onnxRuntimeStatus()).toMatchObject({ found: true, version: "1.30.0" });
  });
});

test("nothing is left in the user's folders, and nothing is reported", async () => {
  const home = await temporaryFolder();
  const environment = { ...process.env, HOME: home, TMPDIR: home, XDG_CACHE_HOME: home };
  const cacheFolder = join(await temporaryFolder(), "cache");
  const script = fileURLToPath(new URL("fill-cache.ts", import.meta.url));
  const args = ["--import", "tsx", "--conditions=@polyllama/source", script, cacheFolder];
  execFileSync(process.execPath, args, { env: environment });
  // tsx keeps compiled sources in the temporary folder.
  expect((await readdir(home)).filter((name) => !name.startsWith("tsx-"))).toEqual([]);
  expect(await readdir(cacheFolder)).toHaveLength(1);
});

test("a graph without anything to compute needs no session", async () => {
  const graph = buildGraph((g) => [g.activations("x", 3)]);
  await using device = onnxruntime({ cacheFolder: false });
  await using loaded = await loadGraph(device, graph, randomSource(graph));
  const [x] = await loaded.run({ inputs: { x: Float32Array.of(1, 2, 3, 4, 5, 6) } }, [{ value: "x", rows: "last" }]);
  expect(Array.from(x!.data)).toEqual([4, 5, 6]);
});
