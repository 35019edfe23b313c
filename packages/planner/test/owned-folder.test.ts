// Folders that processes leave that were killed, and who removes them.

import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOwnedFolder, removeLeftovers } from "@polyllama/planner/packed-weights";
import { expect, onTestFinished, test } from "vitest";

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

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
