// What processes leave that were killed while they pack, and who removes it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadGraph } from "@polyllama/core/device";
import { afterEach, expect, test, vi } from "vitest";
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
