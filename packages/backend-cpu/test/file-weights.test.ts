// Weights that lie in files, which threads of the library read: in every format the same values as those that are
// handed over, and the same errors.

import { utimesSync } from "node:fs";
import { mkdtemp, open, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildGraph, type FormatName, type WeightSource } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { everyFormat, type RandomSource, randomReals, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, onTestFinished, test } from "vitest";
import { cpu } from "../src/index.ts";

/** A source whose weights lie in a file, and are handed over by nobody. */
async function inFile(source: RandomSource): Promise<WeightSource & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "weights");
  const offsets = new Map<string, number>();
  let end = 7; // at no round place
  for (const [name, bytes] of source.bytes) {
    offsets.set(name, end);
    end += bytes.length;
  }
  const file = Buffer.alloc(end);
  for (const [name, bytes] of source.bytes) file.set(bytes, offsets.get(name));
  await writeFile(path, file);
  const { dev, ino, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const version = [dev, ino, mtimeNs, ctimeNs].join();
  return { ...source, path, locate: (name) => ({ path, offset: offsets.get(name)!, version }) };
}

function model(format: FormatName, rows = 531) {
  const graph = buildGraph((g) => [g.linear("y", g.activations("x", 512), g.weight("w", [rows, 512]))]);
  return { graph, source: randomSource(graph, () => format) };
}

async function product(source: WeightSource, graph: ReturnType<typeof model>["graph"]): Promise<number[]> {
  await using device = cpu({ threads: 2, activations: "f32", cacheFolder: false });
  await using loaded = await loadGraph(device, graph, source);
  const [y] = await loaded.run({ inputs: { x: randomReals(1, 512) } }, ["y"]);
  return Array.from(y!.data); // one output
}

describe.each(everyFormat)("%s", (format) => {
  test("is read by threads, and is what is handed over", async () => {
    const { graph, source } = model(format);
    const right = await product(source, graph);
    const { reads } = source;
    expect(await product(await inFile(source), graph)).toEqual(right);
    expect(source.reads).toBe(reads);
  });
});

const large = model("q4_0", 120_000); // 35 MB: two batches

test("of several batches", async () => {
  const { graph, source } = large;
  const right = await product(source, graph);
  const { reads } = source;
  expect(await product(await inFile(source), graph)).toEqual(right);
  expect(source.reads).toBe(reads);
});

describe("where the file", () => {
  test.each(["changed", "is shorter", "is gone"])("%s, what is handed over counts", async (how) => {
    const { graph, source } = model("q8_0");
    const right = await product(source, graph);
    const located = await inFile(source);
    if (how === "is gone") await rm(located.path);
    else if (how === "is shorter") await truncate(located.path, 1000);
    else await writeFile(located.path, new Uint8Array((await stat(located.path)).size));
    expect(await product(located, graph)).toEqual(right);
  });
  test("ends early, but is the same, what is handed over counts", async () => {
    const { graph, source } = model("q8_0");
    const located = await inFile(source);
    const row = (512 / 32) * 34; // one further: the last row is not there, and all others are finite
    const locate: WeightSource["locate"] = (name) => {
      const location = located.locate!(name)!; // it has that, and all weights
      return { ...location, offset: location.offset + row };
    };
    const short: WeightSource = { ...located, locate };
    expect(await product(short, graph)).toEqual(await product(source, graph));
  });
  test("changes while it is read, what is handed over counts", async () => {
    const { graph, source } = large;
    const located = await inFile(source);
    const { reads } = source;
    await using device = cpu({ threads: 2, activations: "f32", cacheFolder: false });
    await using loaded = await loadGraph(device, graph, located, {
      onProgress: ({ done }) => done > 0 && utimesSync(located.path, 1, 1),
    });
    expect(source.reads).toBeGreaterThan(reads);
    const [y] = await loaded.run({ inputs: { x: randomReals(1, 512) } }, ["y"]);
    expect(Array.from(y!.data)).toEqual(await product(source, graph)); // one output
  });
  test("has a NaN, the tensor is named", async () => {
    const { graph, source } = model("f32");
    source.bytes.get("w")!.set([0, 0, 0xc0, 0x7f], 4 * 512 * 300);
    await expect(product(await inFile(source), graph)).rejects.toMatchObject({ tensor: "w" });
  });
});

test("a load is aborted between batches", async () => {
  const { graph, source } = large;
  const located = await inFile(source);
  await using device = cpu({ threads: 2, cacheFolder: false });
  const controller = new AbortController();
  const reason = new Error("enough");
  const loading = loadGraph(device, graph, located, {
    signal: controller.signal,
    onProgress: ({ done }) => done > 0 && controller.abort(reason),
  });
  await expect(loading).rejects.toBe(reason);
  await using file = await open(located.path, "r"); // still there, and not left open
  expect((await file.stat()).size).toBeGreaterThan(0);
});
