// The folder of packed weights: reuse, damage, other processes, full disks, eviction.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, chmod, mkdir, open, readdir, readFile, truncate, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CheckpointError, type Progress } from "@polyllama/core";
import { describe, expect, test } from "vitest";
import { type CpuOptions, cpu } from "../src/index.ts";
import { planLayout } from "../src/pack/layout.ts";
import { openPackedWeights } from "../src/weight-cache.ts";
import { cacheModel, firstLogits } from "./cache-model.ts";
import { type TestSource, temporaryFolder } from "./support.ts";

/** Compiles, computes and disposes. */
async function logitsWith(options: CpuOptions, { graph, source } = cacheModel()): Promise<number[]> {
  await using backend = cpu({ threads: 1, ...options });
  await using program = await backend.compile(graph, source);
  return await firstLogits(program);
}

async function entries(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

async function flipBit(path: string, at: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 0x10;
  await file.write(byte, 0, 1, at);
  await file.close();
}

describe("an entry", () => {
  test("is packed once, reported, and read afterwards", async () => {
    const cacheFolder = join(await temporaryFolder(), "not", "there", "yet");
    const { graph, source } = cacheModel();
    const progress: Progress[] = [];
    const backend = cpu({ cacheFolder, threads: 1 });
    const program = await backend.compile(graph, source, { onProgress: (step) => progress.push(step) });
    const first = await firstLogits(program);
    const packing = progress.filter(({ phase }) => phase === "packing weights");
    expect(packing[0]).toMatchObject({ done: 0 });
    expect(packing.at(-1)!.done).toBe(packing.at(-1)!.total);
    expect(progress.at(-1)!.phase).toBe("loading weights");
    await backend[Symbol.asyncDispose]();
    expect(await entries(cacheFolder)).toHaveLength(1);
    expect((await readdir(join(cacheFolder, (await entries(cacheFolder))[0]!))).sort()).toEqual([
      "manifest.json",
      "weights.bin",
    ]);

    const reads = source.reads;
    expect(await logitsWith({ cacheFolder }, { graph, source })).toEqual(first);
    expect(source.reads - reads).toBe(1); // the embedding rows alone
  });
  test("belongs to its weights and to how they are packed", async () => {
    const cacheFolder = await temporaryFolder();
    const model = cacheModel();
    const first = await logitsWith({ cacheFolder }, model);
    model.source.version = "touched";
    await logitsWith({ cacheFolder }, model);
    expect(await entries(cacheFolder)).toHaveLength(2);
    expect(await logitsWith({ cacheFolder }, cacheModel(2))).not.toEqual(first);
    await logitsWith({ cacheFolder, activations: "f32" });
    expect(await entries(cacheFolder)).toHaveLength(4);
  });
  const damages: Readonly<Record<string, (entry: string) => Promise<void>>> = {
    "a truncated data file": (entry) => truncate(join(entry, "weights.bin"), 5000),
    "a longer data file": (entry) => appendFile(join(entry, "weights.bin"), "x"),
    "a flipped bit in the data": (entry) => flipBit(join(entry, "weights.bin"), 4097),
    "a flipped bit in the manifest": (entry) => flipBit(join(entry, "manifest.json"), 40),
    "an empty manifest": (entry) => writeFile(join(entry, "manifest.json"), ""),
    "a manifest of something else": (entry) => writeFile(join(entry, "manifest.json"), "[1]"),
  };
  for (const [damage, inflict] of Object.entries(damages)) {
    test(`with ${damage} is packed again`, async () => {
      const cacheFolder = await temporaryFolder();
      const model = cacheModel();
      const first = await logitsWith({ cacheFolder }, model);
      const entry = join(cacheFolder, (await entries(cacheFolder))[0]!);
      const intact = await readFile(join(entry, "weights.bin"));
      await inflict(entry);
      expect(await logitsWith({ cacheFolder }, model)).toEqual(first);
      expect(await readFile(join(entry, "weights.bin"))).toEqual(intact);
      expect(await readdir(cacheFolder)).toHaveLength(1);
    });
  }
  test("in a read-only folder is used", async () => {
    const cacheFolder = await temporaryFolder();
    const first = await logitsWith({ cacheFolder });
    const entry = join(cacheFolder, (await entries(cacheFolder))[0]!);
    await chmod(entry, 0o555);
    expect(await logitsWith({ cacheFolder })).toEqual(first);
    await chmod(entry, 0o755);
  });
});

test("two processes that fill the same cache both succeed", async () => {
  const cacheFolder = await temporaryFolder();
  const script = fileURLToPath(new URL("fill-cache.ts", import.meta.url));
  const run = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@polyllama/source", script, cacheFolder]);
      let output = "";
      let errors = "";
      child.stdout.on("data", (data) => (output += data));
      child.stderr.on("data", (data) => (errors += data));
      child.on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(errors))));
    });
  const outputs = await Promise.all([run(), run()]);
  const here = await logitsWith({ cacheFolder });
  for (const output of outputs) expect(JSON.parse(output)).toEqual(here);
  expect(await readdir(cacheFolder)).toEqual(await entries(cacheFolder));
  expect(await entries(cacheFolder)).toHaveLength(1);
});

test("compiling twice at once in one process packs to one entry", async () => {
  const cacheFolder = await temporaryFolder();
  const [a, b] = await Promise.all([logitsWith({ cacheFolder }), logitsWith({ cacheFolder })]);
  expect(a).toEqual(b);
  expect(await readdir(cacheFolder)).toHaveLength(1);
});

describe("without a folder", () => {
  test("the packed file is private and goes with the program", async () => {
    const own = async () => (await readdir(tmpdir())).filter((name) => name.startsWith(`polyllama-${process.pid}-`));
    const { graph, source } = cacheModel();
    const backend = cpu({ cacheFolder: false, threads: 1 });
    await backend.compile(graph, source);
    expect(await own()).toHaveLength(1);
    await backend[Symbol.asyncDispose]();
    expect(await own()).toEqual([]);
  });
});

describe("a full disk", () => {
  const { graph, source } = cacheModel();
  const layout = planLayout(graph, source.weights, "int8");
  for (const failAt of ["truncate", "write", "sync"] as const) {
    test(`noticed on ${failAt} names the folder, the size and the ways out, and leaves nothing`, async () => {
      const folder = await temporaryFolder();
      const openFile = async (path: string) => {
        const file = await open(path, "w");
        const full = async (): Promise<never> => {
          throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        };
        return {
          write: failAt === "write" ? full : file.write.bind(file),
          truncate: failAt === "truncate" ? full : file.truncate.bind(file),
          sync: failAt === "sync" ? full : file.sync.bind(file),
          close: file.close.bind(file),
        } as typeof file; // the methods that packing calls
      };
      const opening = openPackedWeights(source, layout, { folder, limit: 1e9, openFile }, undefined, undefined);
      await expect(opening).rejects.toMatchObject({
        code: "ERR_BACKEND",
        message: expect.stringMatching(new RegExp(`^${folder} is full: .* ${layout.bytes} bytes.*cacheFolder`)),
      });
      expect(await readdir(folder)).toEqual([]);
    });
  }
  test("a folder that cannot be made is named", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    const failing = logitsWith({ cacheFolder: join(file, "folder") });
    await expect(failing).rejects.toMatchObject({ code: "ERR_BACKEND", message: expect.stringContaining(file) });
  });
});

describe("weights", () => {
  test.each(["output.weight", "norm.weight", "layers.0.feed_forward.w2.weight"])("NaN in %s is named", async (name) => {
    const cacheFolder = await temporaryFolder();
    const model = cacheModel();
    const bytes = model.source.bytes.get(name)!;
    bytes.set(bytes.length % 4 === 0 && name === "norm.weight" ? [0, 0, 0xc0, 0x7f] : [0, 0x7c], 0);
    const failing = logitsWith({ cacheFolder }, model);
    await expect(failing).rejects.toThrow(CheckpointError);
    await expect(failing).rejects.toMatchObject({ tensor: name });
    expect(await readdir(cacheFolder)).toEqual([]);
  });
  test("that are missing or misshapen are named before anything is written", async () => {
    const cacheFolder = join(await temporaryFolder(), "cache");
    const model = cacheModel();
    const infos = new Map(model.source.weights);
    infos.delete("norm.weight");
    const incomplete = { ...model, source: { ...model.source, weights: infos } as TestSource };
    await expect(logitsWith({ cacheFolder }, incomplete)).rejects.toMatchObject({ tensor: "norm.weight" });
    expect(existsSync(cacheFolder)).toBe(false);
  });
  test("stop being packed when aborted", async () => {
    const cacheFolder = await temporaryFolder();
    const { graph, source } = cacheModel();
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ done }: Progress) => done > 0 && controller.abort(reason);
    const compiling = cpu({ cacheFolder }).compile(graph, source, { signal: controller.signal, onProgress });
    await expect(compiling).rejects.toBe(reason);
    expect(await readdir(cacheFolder)).toEqual([]);
  });
});

describe("the limit", () => {
  async function fill(cacheFolder: string, cacheLimit: number, version: string): Promise<void> {
    const model = cacheModel();
    model.source.version = version;
    await logitsWith({ cacheFolder, cacheLimit }, model);
  }
  const entryBytes = planLayout(cacheModel().graph, cacheModel().source.weights, "int8").bytes;

  test("evicts what was not used for longest", async () => {
    const cacheFolder = await temporaryFolder();
    await fill(cacheFolder, 2.5 * entryBytes, "a");
    const [a] = await entries(cacheFolder);
    await fill(cacheFolder, 2.5 * entryBytes, "b");
    const b = (await entries(cacheFolder)).find((name) => name !== a)!;
    const past = new Date(Date.now() - 60_000);
    for (const name of [a!, b]) await utimes(join(cacheFolder, name, "manifest.json"), past, past);
    await fill(cacheFolder, 2.5 * entryBytes, "a"); // used again
    await fill(cacheFolder, 2.5 * entryBytes, "c");
    const left = await entries(cacheFolder);
    expect(left).toHaveLength(2);
    expect(left).toContain(a);
    expect(left).not.toContain(b);
  });
  test("spares entries in use, and those that were packed just now", async () => {
    const cacheFolder = await temporaryFolder();
    const { graph, source } = cacheModel();
    await using backend = cpu({ cacheFolder, cacheLimit: 0, threads: 1 });
    const program = await backend.compile(graph, source);
    const [inUse] = await entries(cacheFolder);
    await fill(cacheFolder, 0, "other");
    expect(await entries(cacheFolder)).toContain(inUse);
    expect(await firstLogits(program)).toEqual(await logitsWith({ cacheFolder }));
  });
  test("forgets markers and half-packed folders of processes that died", async () => {
    const cacheFolder = await temporaryFolder();
    const dead = `${hostname()}-999999999-0`;
    await mkdir(join(cacheFolder, `tmp-${dead}`));
    await mkdir(join(cacheFolder, `tmp-${hostname()}-${process.pid}-0`)); // alive
    await fill(cacheFolder, 1e9, "a");
    const [a] = await entries(cacheFolder);
    await writeFile(join(cacheFolder, a!, `use-${dead}`), "");
    await fill(cacheFolder, 0, "b");
    expect(await entries(cacheFolder)).not.toContain(a);
    expect((await readdir(cacheFolder)).filter((name) => name.startsWith("tmp-"))).toEqual([
      `tmp-${hostname()}-${process.pid}-0`,
    ]);
  });
});
