// Packed weights: reuse, damage, other processes, full disks, ends and aborts, eviction, and mapped files.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { appendFile, mkdtemp, open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CheckpointError, type Progress } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { describe, expect, onTestFinished, test } from "vitest";
import { cpu } from "../src/index.ts";
import { keepingDevice, logitsWith, packModel } from "./pack-model.ts";

const page = 1 << 20;

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function entries(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

async function flipBit(path: string, at: number): Promise<void> {
  await using file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 0x10;
  await file.write(byte, 0, 1, at);
}

/** The only entry's packed file. */
async function packedIn(folder: string): Promise<string> {
  const [entry = ""] = await entries(folder);
  return join(folder, entry, "weights.bin");
}

/** Loads and disposes with notes kept. */
async function noted(folder: string, options: Parameters<typeof keepingDevice>[1] = {}, model = packModel()) {
  const notes: string[] = [];
  const device = keepingDevice(folder, { onNote: (note) => notes.push(note), ...options });
  return { logits: await logitsWith(device, model.graph, model.source), notes };
}

const mapped = { available: () => 0 };
const ways = { "read into memory": {}, "mapped where memory is short": mapped };

describe.each(Object.entries(ways))("weights %s", (_, way) => {
  test("are packed once, read afterwards, and are the same", async () => {
    const folder = join(await temporaryFolder(), "not", "there", "yet");
    const { graph, source } = packModel();
    const right = await logitsWith(keepingDevice(false), graph, source);
    expect(await logitsWith(keepingDevice(folder, way), graph, source)).toEqual(right);
    expect(await readdir(folder)).toEqual(await entries(folder));
    const path = await packedIn(folder);
    expect((await stat(path)).size).toBeGreaterThan(2 * page);
    const { reads } = source;
    expect(await logitsWith(keepingDevice(folder, way), graph, source)).toEqual(right);
    expect(source.reads).toBe(reads);
    expect(await readdir(folder)).toEqual(await entries(folder));
  });

  test("with a damaged byte in any page are packed again, with one note", async () => {
    const folder = await temporaryFolder();
    const right = (await noted(folder, way)).logits;
    const path = await packedIn(folder);
    const intact = await readFile(path);
    for (let at = 0, number = 0; at < intact.length; at += page, number++) {
      const within = Math.min(page, intact.length - at);
      await flipBit(path, at + ((number * 271_828) % within));
      const { logits, notes } = await noted(folder, way);
      expect(notes).toEqual([expect.stringContaining(`the bytes from ${at} on`)]);
      expect(logits).toEqual(right);
      expect(Buffer.compare(await readFile(await packedIn(folder)), intact)).toBe(0);
    }
    await flipBit(path, intact.length - 1);
    expect((await noted(folder, way)).notes).toHaveLength(1);
  });

  test("of a checkpoint with a NaN are not kept", async () => {
    const folder = await temporaryFolder();
    const { graph, source } = packModel();
    source.bytes.get("output.weight")!.set([0, 0x7c], 34 * 8 * 100);
    const failing = logitsWith(keepingDevice(folder, way), graph, source);
    await expect(failing).rejects.toThrow(CheckpointError);
    await expect(failing).rejects.toMatchObject({ tensor: "output.weight" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("stop being loaded when aborted, with a packed copy and without", async () => {
    const folder = await temporaryFolder();
    const { graph, source } = packModel();
    for (const kept of [[], [expect.stringMatching(/^[0-9a-f]{64}$/)]]) {
      if (kept.length > 0) await logitsWith(keepingDevice(folder, way), graph, source);
      const controller = new AbortController();
      const reason = new Error("enough");
      const onProgress = ({ done }: Progress) => done > 0 && controller.abort(reason);
      const device = keepingDevice(folder, way);
      const loading = loadGraph(device, graph, source, { signal: controller.signal, onProgress });
      await expect(loading).rejects.toBe(reason);
      await device[Symbol.asyncDispose](); // waits until what was used of the folder is given back
      expect(await readdir(folder)).toEqual(kept);
    }
  });
});

describe("a packed copy", () => {
  const damages: Readonly<Record<string, readonly [damage: (path: string) => Promise<void>, note: RegExp]>> = {
    "that is truncated": [(path) => truncate(path, 5000), /has 5000 bytes instead of/],
    "that is empty": [(path) => truncate(path, 0), /has 0 bytes instead of/],
    "that is longer": [(path) => appendFile(path, "x"), /bytes instead of/],
    "that is gone": [(path) => rm(path), /cannot be read/],
    "with a damaged manifest": [(path) => flipBit(join(path, "../manifest.json"), 40), /manifest is damaged/],
    "without a manifest": [(path) => rm(join(path, "../manifest.json")), /cannot be read/],
  };
  test.each(Object.entries(damages))("%s is made again, with one note", async (_, [inflict, expected]) => {
    const folder = await temporaryFolder();
    const right = (await noted(folder)).logits;
    const intact = await readFile(await packedIn(folder));
    await inflict(await packedIn(folder));
    const { logits, notes } = await noted(folder);
    expect(notes).toEqual([expect.stringMatching(expected)]);
    expect(logits).toEqual(right);
    expect(Buffer.compare(await readFile(await packedIn(folder)), intact)).toBe(0);
  });

  test("belongs to its weights", async () => {
    const folder = await temporaryFolder();
    const model = packModel();
    const first = await logitsWith(keepingDevice(folder), model.graph, model.source);
    model.source.version = "touched";
    await logitsWith(keepingDevice(folder), model.graph, model.source);
    const other = packModel(2);
    expect(await logitsWith(keepingDevice(folder), other.graph, other.source)).not.toEqual(first);
    expect(await entries(folder)).toHaveLength(3);
  });

  test("is not written twice at once, and not by a device without a folder", async () => {
    const folder = await temporaryFolder();
    const { graph, source } = packModel();
    const devices = [keepingDevice(folder), keepingDevice(folder), keepingDevice(false)];
    const [a, b, c] = await Promise.all(devices.map((device) => logitsWith(device, graph, source)));
    expect([b, c]).toEqual([a, a]);
    expect(await readdir(folder)).toEqual(await entries(folder));
    expect(await entries(folder)).toHaveLength(1);
  });

  test("is not made of small weights", async () => {
    const folder = await temporaryFolder();
    const { graph, source } = packModel();
    await logitsWith(cpu({ cacheFolder: folder, threads: 2 }), graph, source);
    expect(await readdir(folder)).toEqual([]);
  });

  test("goes when it was not used for longest", async () => {
    const folder = await temporaryFolder();
    const { graph, source } = packModel();
    const fill = async (version: string, limit: number): Promise<void> => {
      source.version = version;
      await logitsWith(keepingDevice(folder, { limit }), graph, source);
    };
    await fill("a", 1e9);
    const [a] = await entries(folder);
    const limit = 2.5 * (await stat(await packedIn(folder))).size;
    await fill("b", limit);
    const b = (await entries(folder)).find((name) => name !== a);
    const past = new Date(Date.now() - 60_000);
    for (const name of [a, b]) await utimes(join(folder, name ?? "", "manifest.json"), past, past);
    await fill("a", limit); // used again
    await fill("c", limit);
    const left = await entries(folder);
    expect(left).toHaveLength(2);
    expect(left).toContain(a);
    expect(left).not.toContain(b);
    await fill("d", 1); // larger than the limit
    expect((await entries(folder)).sort()).toEqual([...left].sort());
  });
});

test("two processes that fill the same cache both succeed", async () => {
  const folder = await temporaryFolder();
  const outputs = await Promise.all([start(folder), start(folder)].map((child) => outputOf(child)));
  const { graph, source } = packModel();
  const here = await logitsWith(keepingDevice(folder), graph, source);
  for (const output of outputs) expect(JSON.parse(output)).toEqual(here);
  expect(await readdir(folder)).toEqual(await entries(folder));
  expect(await entries(folder)).toHaveLength(1);
}, 60_000);

test("a process that is killed while it writes leaves a folder that the next load removes", async () => {
  const folder = await temporaryFolder();
  const child = start(folder, "slowly");
  for (let said = ""; !said.includes("writing"); ) said += String((await once(child.stdout, "data"))[0]);
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  expect(await readdir(folder)).toEqual([expect.stringMatching(/^tmp-/)]);
  const { graph, source } = packModel();
  await logitsWith(keepingDevice(folder), graph, source);
  expect(await readdir(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
}, 60_000);

function start(...given: readonly string[]) {
  const script = fileURLToPath(new URL("pack-process.ts", import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", "--conditions=@polyllama/source", script, ...given]);
}

async function outputOf(child: ReturnType<typeof start>): Promise<string> {
  let [output, errors] = ["", ""];
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (errors += data));
  const [code] = await once(child, "close");
  expect(code, errors).toBe(0);
  return output;
}

describe("writing in the background", () => {
  /** A disk that stops until it is let go on. */
  function stopping() {
    let reach = (): void => undefined;
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const openFile = async (path: string) => {
      const file = await open(path, "wx");
      return {
        close: () => file.close(),
        write: async (...given: Parameters<typeof file.write>) => {
          reach();
          await released;
          return file.write(...given);
        },
      } as typeof file; // the methods that writing calls
    };
    return { openFile, reached, release: () => release() };
  }

  test("delays no step, and is not stopped by the load's signal; an end waits for it", async () => {
    const folder = await temporaryFolder();
    const { graph, source } = packModel();
    const disk = stopping();
    const device = keepingDevice(folder, { openFile: disk.openFile });
    const controller = new AbortController();
    const loaded = await loadGraph(device, graph, source, { signal: controller.signal });
    await disk.reached;
    controller.abort();
    const [logits] = await loaded.run({ inputs: { tokens: Int32Array.of(1, 2, 3) } }, ["logits"]);
    expect(logits!.data.length).toBe(3 * 5003);
    let ended = false;
    const end = device[Symbol.asyncDispose]().then(() => {
      ended = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ended).toBe(false);
    expect(await entries(folder)).toEqual([]);
    disk.release();
    await end;
    expect(await readdir(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect((await noted(folder)).notes).toEqual([]);
  });

  test("to a full disk leaves nothing, with one note", async () => {
    const folder = await temporaryFolder();
    const openFile = async (path: string) => {
      const file = await open(path, "wx");
      return {
        close: () => file.close(),
        write: async (): Promise<never> => {
          throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        },
      } as unknown as typeof file; // the methods that writing calls
    };
    const { graph, source } = packModel();
    const right = await logitsWith(keepingDevice(false), graph, source);
    const { logits, notes } = await noted(folder, { openFile });
    expect(logits).toEqual(right);
    expect(notes).toEqual([expect.stringContaining(`${folder} is full (ENOSPC)`)]);
    expect(await readdir(folder)).toEqual([]);
  });
});

test.each(Object.entries(ways))("a folder that cannot be made is named in a note: %s", async (_, way) => {
  const file = join(await temporaryFolder(), "file");
  await writeFile(file, "");
  const { graph, source } = packModel();
  const right = await logitsWith(keepingDevice(false), graph, source);
  const { logits, notes } = await noted(join(file, "folder"), way);
  expect(logits).toEqual(right);
  expect(notes).toEqual([expect.stringContaining(join(file, "folder"))]);
  expect(existsSync(join(file, "folder"))).toBe(false);
});
