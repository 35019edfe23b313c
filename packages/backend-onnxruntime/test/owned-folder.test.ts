// What processes leave that were killed, and who removes it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadGraph } from "@polyllama/core/device";
import { afterEach, expect, test, vi } from "vitest";
import { createOwnedFolder, removeLeftovers } from "../src/cache/owned-folder.ts";
import { onnxruntime } from "../src/index.ts";
import { cacheModel, firstLogits } from "./cache-model.ts";
import { temporaryFolder } from "./support.ts";

const script = fileURLToPath(new URL("pack-slowly.ts", import.meta.url));

afterEach(() => vi.unstubAllEnvs());

/** Folders of packed weights in the system's temporary folder that a process made. */
async function privateFolders(pid: number | undefined): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("polyllama-packed-") && name.includes(`-${pid}-`));
}

/** Starts a process that packs and stops in the middle; kills it there. @returns its number. */
async function killWhilePacking(cacheFolder: string): Promise<number | undefined> {
  const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@polyllama/source", script, cacheFolder]);
  let errors = "";
  child.stderr.on("data", (data) => (errors += data));
  const [said] = await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => [errors])]);
  expect(String(said)).toBe("packing");
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.pid;
}

test("a process that is killed while it packs without a cache leaves a folder that the next run removes", async () => {
  vi.stubEnv("TMPDIR", await temporaryFolder()); // any other process that packs would remove it from the system's
  const pid = await killWhilePacking("");
  const [left = ""] = await privateFolders(pid);
  expect((await stat(join(tmpdir(), left, "weights.bin"))).size).toBeGreaterThan(0);
  const { graph, source } = cacheModel();
  await using device = onnxruntime({ cacheFolder: await temporaryFolder(), threads: 1 });
  await firstLogits(await loadGraph(device, graph, source));
  expect(await privateFolders(pid)).toEqual([]);
});

test("so does one that packs into the cache", async () => {
  const cacheFolder = await temporaryFolder();
  await killWhilePacking(cacheFolder);
  expect(await readdir(cacheFolder)).toEqual([expect.stringMatching(/^tmp-/)]);
  const { graph, source } = cacheModel();
  await using device = onnxruntime({ cacheFolder, threads: 1 });
  await firstLogits(await loadGraph(device, graph, source));
  await device[Symbol.asyncDispose]();
  expect(await readdir(cacheFolder)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
});

test("folders of processes that run, of strangers, and of others that were touched lately stay", async () => {
  const parent = await temporaryFolder();
  const own = await createOwnedFolder(parent, "tmp");
  const name = own.path.slice(parent.length + 1);
  const [, domain, pid = "", start = "", random = ""] = name.split("-");
  const elsewhere = (domain ?? "").replace(/./g, (digit) => (digit === "0" ? "1" : "0"));
  const kept = [
    name,
    `tmp-${elsewhere}-1-${start}-${random}`, // another machine's, touched just now
    `use-${domain}-999999999-1-${random}`, // not asked for
    `tmp-${domain}-999999999-1-${random}-file`,
    "tmp-something",
    "weights",
  ];
  const removed = [
    `tmp-${domain}-999999999-1-${random}`, // no such process
    `tmp-${domain}-${pid}-1${start}-${random}`, // its number, but of a process that started at another time
    `tmp-${elsewhere}-${pid}-${start}-${random}`, // another machine's, not touched for long
  ];
  for (const each of [...kept.slice(1), ...removed]) {
    if (each.endsWith("-file")) await writeFile(join(parent, each), "");
    else await mkdir(join(parent, each));
    await writeFile(join(parent, each, "weights.bin"), "").catch(() => undefined);
  }
  const past = new Date(Date.now() - 3_600_000);
  for (const each of [removed[2]!, name, kept[2]!]) await utimes(join(parent, each), past, past);
  await mkdir(join(parent, "precious"));
  const link = `tmp-${domain}-999999998-1-${random}`;
  await symlink(join(parent, "precious"), join(parent, link));
  await removeLeftovers(parent, ["tmp"]);
  expect((await readdir(parent)).sort()).toEqual([...kept, "precious", link].sort());
  await own.remove();
  expect((await readdir(parent)).sort()).toEqual([...kept.slice(1), "precious", link].sort());
});

test("a folder that nobody can read, or that is not there, is no error", async () => {
  await removeLeftovers(join(await temporaryFolder(), "missing"), ["tmp"]);
});
