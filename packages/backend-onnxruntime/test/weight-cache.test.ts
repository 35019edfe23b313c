// The folder of packed weights: reuse, damage, other processes, full disks, eviction.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import {
  appendFile,
  chmod,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildGraph, CheckpointError, type FormatName, type Progress } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { removeEntry } from "@polyllama/planner/packed-weights";
import { everyFormat, type RandomSource, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { checkFolder } from "../src/cache/content.ts";
import { packInto } from "../src/cache/pack.ts";
import { type CacheSettings, openPackedWeights } from "../src/cache/packed-weights.ts";
import { type OnnxRuntimeOptions, onnxruntime } from "../src/index.ts";
import { packingVersion } from "../src/pack/index.ts";
import { planLayout } from "../src/pack/layout.ts";
import { cacheModel, firstLogits } from "./cache-model.ts";
import { temporaryFolder } from "./support.ts";

/** Compiles, computes and disposes. Notes are not expected. */
async function logitsWith(options: OnnxRuntimeOptions, { graph, source } = cacheModel()): Promise<number[]> {
  const onNote = (note: string) => expect.unreachable(note);
  await using device = onnxruntime({ threads: 1, onNote, ...options });
  await using loaded = await loadGraph(device, graph, source);
  return await firstLogits(loaded);
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
    const device = onnxruntime({ cacheFolder, threads: 1 });
    const loaded = await loadGraph(device, graph, source, { onProgress: (step) => progress.push(step) });
    const first = await firstLogits(loaded);
    const packing = progress.filter(({ phase }) => phase === "packing weights");
    expect(packing[0]).toMatchObject({ done: 0 });
    expect(packing.at(-1)!.done).toBe(packing.at(-1)!.total);
    expect(progress.at(-1)!.phase).toBe("loading weights");
    await device[Symbol.asyncDispose]();
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
  test("belongs to a version of the packers, which is raised when their bytes change", async () => {
    const graph = buildGraph((g) =>
      everyFormat.map((format) => {
        return g.linear(`${format}.y`, g.activations(format, 256), g.weight(format, [40, 256]));
      }),
    );
    const source = randomSource(graph, (name) => name as FormatName); // each weight is named after its format
    const hash = createHash("sha256");
    for (const activations of ["int8", "f32"] as const) {
      const folder = await temporaryFolder();
      await packInto(folder, source, planLayout([graph], source.weights, activations), { durable: false });
      hash.update(await readFile(join(folder, "weights.bin")));
    }
    // When this fails, packing changed: raise packingVersion in src/pack/index.ts.
    expect([packingVersion, hash.digest("hex")]).toEqual([
      1,
      "3514c483bd59d4f8caada2df814ec445c10a2727049f9bdfdc038dad18585900",
    ]);
  });
  const manifest = async (entry: string, change: (content: Record<string, unknown>) => object): Promise<void> => {
    const path = join(entry, "manifest.json");
    const content = JSON.stringify(change(JSON.parse(JSON.parse(await readFile(path, "utf8")).content)));
    await writeFile(path, JSON.stringify({ content, seal: createHash("sha256").update(content).digest("hex") }));
  };
  const damages: Readonly<Record<string, readonly [damage: (entry: string) => Promise<void>, note: RegExp]>> = {
    "a truncated data file": [(entry) => truncate(join(entry, "weights.bin"), 5000), /has 5000 bytes instead of/],
    "an empty data file": [(entry) => truncate(join(entry, "weights.bin"), 0), /has 0 bytes instead of/],
    "a longer data file": [(entry) => appendFile(join(entry, "weights.bin"), "x"), /bytes instead of/],
    "no data file": [(entry) => rm(join(entry, "weights.bin")), /cannot be read/],
    "a flipped bit in the data": [(entry) => flipBit(join(entry, "weights.bin"), 4097), /from 4096 on .* checksum/],
    "a flipped bit at the start of the data": [
      (entry) => flipBit(join(entry, "weights.bin"), 0),
      /from 0 on .* checksum/,
    ],
    "a flipped bit in the manifest": [(entry) => flipBit(join(entry, "manifest.json"), 40), /manifest is damaged/],
    "an empty manifest": [(entry) => writeFile(join(entry, "manifest.json"), ""), /manifest is damaged/],
    "no manifest": [(entry) => rm(join(entry, "manifest.json")), /cannot be read/],
    "a manifest of something else": [(entry) => writeFile(join(entry, "manifest.json"), "[1]"), /manifest is damaged/],
    "a manifest of nothing": [(entry) => manifest(entry, () => []), /another version/],
    "a manifest of another version": [
      (entry) => manifest(entry, (content) => ({ ...content, packingVersion: 0 })),
      /another version.*packingVersion/,
    ],
    "another order of bytes": [(entry) => manifest(entry, (content) => ({ ...content, byteOrder: "BE" })), /byteOrder/],
    "the name of another model's": [(entry) => manifest(entry, (content) => ({ ...content, key: "0" })), /key/],
    "no checksums": [(entry) => manifest(entry, ({ checksums: _, ...content }) => content), /has no checksums/],
    "a checksum too few": [
      (entry) => manifest(entry, (content) => ({ ...content, checksums: (content["checksums"] as string[]).slice(1) })),
      /has no checksums/,
    ],
    "a short checksum": [
      (entry) =>
        manifest(entry, (content) => {
          const [first = "", ...others] = content["checksums"] as string[];
          return { ...content, checksums: [first.slice(1), ...others] };
        }),
      /from 0 on .* checksum/,
    ],
  };
  for (const [damage, [inflict, expected]] of Object.entries(damages)) {
    test(`with ${damage} is packed again, with one note`, async () => {
      const cacheFolder = await temporaryFolder();
      const model = cacheModel();
      const first = await logitsWith({ cacheFolder }, model);
      const entry = join(cacheFolder, (await entries(cacheFolder))[0]!);
      const intact = await readFile(join(entry, "weights.bin"));
      await inflict(entry);
      const notes: string[] = [];
      expect(await logitsWith({ cacheFolder, onNote: (note) => notes.push(note) }, model)).toEqual(first);
      expect(notes).toEqual([expect.stringMatching(expected)]);
      expect(notes[0]).toContain(`${entry} are not used`);
      expect(await readFile(join(entry, "weights.bin"))).toEqual(intact);
      expect(await readdir(cacheFolder)).toHaveLength(1);
    });
  }
  test("of another model with the same shapes is not taken for this one's", async () => {
    const cacheFolder = await temporaryFolder();
    const right = await logitsWith({ cacheFolder });
    const [own] = await entries(cacheFolder);
    await logitsWith({ cacheFolder }, cacheModel(2));
    const other = (await entries(cacheFolder)).find((name) => name !== own)!;
    await rm(join(cacheFolder, own!), { recursive: true });
    await rename(join(cacheFolder, other), join(cacheFolder, own!));
    const notes: string[] = [];
    expect(await logitsWith({ cacheFolder, onNote: (note) => notes.push(note) })).toEqual(right);
    expect(notes).toEqual([expect.stringMatching(/for another model/)]);
  });
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
  test("the packed file is private and goes with the device", async () => {
    const own = async () =>
      (await readdir(tmpdir())).filter(
        (name) => name.startsWith("polyllama-packed-") && name.includes(`-${process.pid}-`),
      );
    const { graph, source } = cacheModel();
    const device = onnxruntime({ cacheFolder: false, threads: 1 });
    await loadGraph(device, graph, source);
    expect(await own()).toHaveLength(1);
    await device[Symbol.asyncDispose]();
    expect(await own()).toEqual([]);
  });
});

describe("damage", () => {
  // Some arrays of less than a block, and one of several that ends within one.
  const graph = buildGraph((g) => {
    const x = g.activations("x", 256);
    const norm = g.rmsNorm("norm", x, g.weight("norm.weight", [256]), { eps: 1e-5 });
    const small = g.linear("small", norm, g.weight("small.weight", [256, 256]));
    return [g.linear("large", small, g.weight("large.weight", [2601, 256]))];
  });
  const source = randomSource(graph);
  const layout = planLayout([graph], source.weights, "int8");
  const settings = (folder: string): CacheSettings => ({ folder, limit: 1e9, onNote: () => undefined });
  const arrays = layout.matrices.flatMap(({ parts }) => parts.map(({ array }) => array));

  test("of any page of any array is found", async () => {
    const folder = await temporaryFolder();
    const checksums = await packInto(folder, source, layout, { durable: false });
    const check = () => checkFolder(folder, layout, checksums);
    const path = join(folder, "weights.bin");
    const found: string[] = [];
    let pages = 0;
    for (const { offset, length } of arrays) {
      for (let page = 0; page < length; page += 4096, pages++) {
        const at = offset + page + ((pages * 2711) % Math.min(4096, length - page));
        await flipBit(path, at);
        found.push((await check()) ?? `nothing at ${at}`);
        await flipBit(path, at);
      }
    }
    expect(pages).toBeGreaterThan(700);
    expect(found).toHaveLength(pages);
    for (const damage of found) expect(damage).toMatch(/do not match their checksum/);
    expect(await check()).toBeUndefined();
  });
  test("of a file of more than 64 MiB, in the middle of an array, gives the right values", async () => {
    const wide = buildGraph((g) => [g.linear("y", g.activations("x", 1024), g.weight("w", [17_000, 1024]))]);
    const weights = randomSource(wide);
    const cacheFolder = await temporaryFolder();
    const compute = async (options: OnnxRuntimeOptions): Promise<Float32Array> => {
      await using device = onnxruntime({ cacheFolder, threads: 1, activations: "f32", ...options });
      await using loaded = await loadGraph(device, wide, weights);
      const [y] = await loaded.run({ inputs: { x: new Float32Array(1024).fill(1) } }, wide.outputs);
      return Float32Array.from(y!.data);
    };
    const right = await compute({});
    const path = join(cacheFolder, (await entries(cacheFolder))[0]!, "weights.bin");
    const at = 33 * 2 ** 20 + 8192 + 3; // the exponent of a number
    await flipBit(path, at);
    const notes: string[] = [];
    expect(await compute({ onNote: (note) => notes.push(note) })).toEqual(right);
    expect(notes).toEqual([expect.stringContaining(`the bytes from ${33 * 2 ** 20} on`)]);
  });
  test.each(["cache", "temporary"])(
    "on the way to the disk is found before the first use: %s folder",
    async (where) => {
      const damaged: string[] = [];
      const openFile = async (path: string) => {
        const file = await open(path, "w");
        if (where === "temporary" || path.startsWith(folder)) damaged.push(path);
        return {
          write: async (bytes: Uint8Array, at: number, length: number, position: number) => {
            const copy = bytes.slice(at, at + length);
            if (damaged.includes(path)) copy[5]! ^= 1;
            return file.write(copy, 0, copy.length, position);
          },
          truncate: file.truncate.bind(file),
          sync: file.sync.bind(file),
          close: file.close.bind(file),
        } as typeof file; // the methods that packing calls
      };
      const folder = await temporaryFolder();
      const notes: string[] = [];
      const onNote = (note: string) => notes.push(note);
      const opening = openPackedWeights(
        source,
        layout,
        { ...settings(folder), onNote, openFile },
        undefined,
        undefined,
      );
      if (where === "cache") {
        const packed = await opening;
        expect(packed.folder.startsWith(tmpdir())).toBe(true);
        await packed.release();
      } else {
        await expect(opening).rejects.toMatchObject({
          name: "PackedWeightsError",
          reason: "damaged",
          folder: tmpdir(),
        });
      }
      expect(notes).toEqual([expect.stringContaining(`${folder} does not hold what was written to it`)]);
      expect(await readdir(folder)).toEqual([]);
    },
  );
  test("is looked for until the signal is aborted", async () => {
    const folder = await temporaryFolder();
    await (await openPackedWeights(source, layout, settings(folder), undefined, undefined)).release();
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ phase, done }: Progress) =>
      phase.startsWith("checking") && done > 0 && controller.abort(reason);
    const opening = openPackedWeights(source, layout, settings(folder), onProgress, controller.signal);
    await expect(opening).rejects.toBe(reason);
    expect(await readdir(folder)).toEqual(await entries(folder));
    expect(await entries(folder)).toHaveLength(1);
  });
});

describe("a full disk", () => {
  const { graph, source } = cacheModel();
  const layout = planLayout([graph], source.weights, "int8");
  const failing = (failAt: "truncate" | "write" | "sync", within: string) => async (path: string) => {
    const file = await open(path, "w");
    if (!path.startsWith(within)) return file;
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
  for (const failAt of ["truncate", "write", "sync"] as const) {
    test(`under the cache, noticed on ${failAt}, leaves nothing there; the run goes on without, with one note`, async () => {
      const folder = await temporaryFolder();
      const notes: string[] = [];
      const onNote = (note: string) => notes.push(note);
      const settings = { folder, limit: 1e9, onNote, openFile: failing(failAt, folder) };
      const packed = await openPackedWeights(source, layout, settings, undefined, undefined);
      expect(packed.folder.startsWith(tmpdir()) && !packed.folder.startsWith(folder)).toBe(true);
      expect((await stat(join(packed.folder, "weights.bin"))).size).toBe(layout.bytes);
      await packed.release();
      expect(existsSync(packed.folder)).toBe(false);
      expect(notes).toEqual([
        expect.stringMatching(new RegExp(`${layout.bytes} bytes.*${folder} is full .*${tmpdir()}`)),
      ]);
      expect(await readdir(folder)).toEqual([]);
    });
  }
  for (const failAt of ["truncate", "write"] as const) {
    test(`under both folders, noticed on ${failAt}, names them, the size and the ways out, and leaves nothing`, async () => {
      const folder = await temporaryFolder();
      const settings = { folder, limit: 1e9, onNote: () => undefined, openFile: failing(failAt, "/") };
      const opening = openPackedWeights(source, layout, settings, undefined, undefined);
      await expect(opening).rejects.toMatchObject({
        code: "ERR_BACKEND",
        name: "PackedWeightsError",
        folder: tmpdir(),
        reason: "full",
        bytes: layout.bytes,
        problem: expect.stringMatching(
          new RegExp(`${folder} is full .* and ${tmpdir()} is full .*${layout.bytes} bytes`),
        ),
        message: expect.stringMatching(/onnxruntime\(\{ cacheFolder \}\).*cacheFolder: false.*TMPDIR/),
      });
      expect(await readdir(folder)).toEqual([]);
      expect((await readdir(tmpdir())).filter((name) => name.includes(`-${process.pid}-`))).toEqual([]);
    });
  }
});

describe("a cache folder", () => {
  test("that cannot be made is named in a note, and the run goes on", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    const notes: string[] = [];
    const right = await logitsWith({ cacheFolder: false });
    expect(await logitsWith({ cacheFolder: join(file, "folder"), onNote: (note) => notes.push(note) })).toEqual(right);
    expect(notes).toEqual([expect.stringContaining(join(file, "folder"))]);
  });
  test("and without onNote in a warning of the process", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    await using device = onnxruntime({ threads: 1, cacheFolder: join(file, "folder") });
    const { graph, source } = cacheModel();
    await loadGraph(device, graph, source);
    expect((await warned).message).toContain(join(file, "folder"));
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
    const incomplete = { ...model, source: { ...model.source, weights: infos } as RandomSource };
    await expect(logitsWith({ cacheFolder }, incomplete)).rejects.toMatchObject({ tensor: "norm.weight" });
    expect(existsSync(cacheFolder)).toBe(false);
  });
  test("stop being packed when aborted", async () => {
    const cacheFolder = await temporaryFolder();
    const { graph, source } = cacheModel();
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ done }: Progress) => done > 0 && controller.abort(reason);
    const compiling = loadGraph(onnxruntime({ cacheFolder }), graph, source, {
      signal: controller.signal,
      onProgress,
    });
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
  const entryBytes = planLayout([cacheModel().graph], cacheModel().source.weights, "int8").bytes;

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
    await using device = onnxruntime({ cacheFolder, cacheLimit: 0, threads: 1 });
    const loaded = await loadGraph(device, graph, source);
    const [inUse] = await entries(cacheFolder);
    await fill(cacheFolder, 0, "other");
    expect(await entries(cacheFolder)).toContain(inUse);
    expect(await firstLogits(loaded)).toEqual(await logitsWith({ cacheFolder }));
  });
  test("does not take an entry from whoever came to use it meanwhile", async () => {
    const cacheFolder = await temporaryFolder();
    const { graph, source } = cacheModel();
    await using device = onnxruntime({ cacheFolder, threads: 1 });
    const loaded = await loadGraph(device, graph, source);
    const right = await firstLogits(loaded);
    const [inUse] = await entries(cacheFolder);
    await removeEntry(join(cacheFolder, inUse!)); // as whoever looked before it was in use
    expect(await entries(cacheFolder)).toEqual([]);
    // loads anew
    const [hidden] = await loaded.run({ inputs: { tokens: Int32Array.of(1) } }, ["layers.0.attention_norm"]);
    expect(hidden!.data.length).toBe(64);
    expect(await firstLogits(loaded)).toEqual(right);
  });
});
