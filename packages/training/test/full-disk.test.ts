// A disk that is full, a small one of memory: the run says so, keeps the last good checkpoint, leaves nothing half
// written, and goes on when there is room again.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { type LogEntry, readLog, savedCheckpoints } from "../src/node.ts";
import { smallRun } from "./small-run.ts";

const call = promisify(execFile);
const root = await mkdtemp(join(tmpdir(), "full-disk-"));
const disk = join(root, "disk");
await mkdir(disk);
const mounted = await call("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).then(
  () => true,
  () => false,
);
afterAll(async () => {
  if (mounted) await call("umount", [disk]);
  await rm(root, { recursive: true });
});

/** Takes all room but so many bytes. */
async function fill(path: string, left: number): Promise<void> {
  const piece = new Uint8Array(4096);
  await writeFile(path, piece);
  const isFull = await (async () => {
    for (;;) await writeFile(path, piece, { flag: "a" });
  })().catch((error: NodeJS.ErrnoException) => error.code === "ENOSPC");
  expect(isFull).toBe(true);
  const { open } = await import("node:fs/promises");
  const file = await open(path, "r+");
  await file.truncate((await file.stat()).size - left);
  await file.close();
}

const steps = async (folder: string): Promise<readonly (number | string)[]> => {
  return (await readLog(folder)).flatMap((entry: LogEntry) => (entry.kind === "step" ? [entry.step, entry.loss] : []));
};

describe.skipIf(!mounted)("on a full disk (needs the right to mount one)", () => {
  test.each([
    ["nothing is left", 0],
    ["the weights fit and the moments do not", 400_000],
    ["a part of the weights fits", 60_000],
  ])("where %s", async (_, left) => {
    const folder = join(disk, "run");
    const filler = join(disk, "filler");
    let filling: Promise<void> | undefined;
    const failing = smallRun(folder, {
      onEvent: ({ kind, step }) => {
        if (kind === "step" && step === 5) filling = fill(filler, left);
      },
      validation: { every: 5, batches: [] },
      samples: {
        every: 5,
        make: async () => {
          await filling;
          return [];
        },
      },
    });
    await expect(failing).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringMatching(
        /(?:ENOSPC|the disk has only).* The run ends at step [56]\. The last good checkpoint is .*step-00000004; the run/,
      ),
    });
    expect(await readdir(folder)).not.toContain("run.lock");
    expect((await readdir(join(folder, "checkpoints"))).sort()).toEqual(["latest", "step-00000002", "step-00000004"]);
    expect(await savedCheckpoints(folder)).toHaveLength(2);
    await rm(filler);
    expect(await smallRun(folder, { resume: true })).toMatchObject({ ended: "done", step: 20 });
    const whole = join(disk, "whole");
    await smallRun(whole);
    expect(await steps(folder)).toEqual(await steps(whole));
    await rm(folder, { recursive: true });
    await rm(whole, { recursive: true });
  });
});
