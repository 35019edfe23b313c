// Folders that belong to one process: half-packed weights, and what it uses of the cache. Their names say which process
// made them, so that whatever a process leaves that was killed is removed by the next one. On the same machine a
// process is known by its number and the time of its start; of others (another host, a container with processes of its
// own, an earlier boot) nothing can be asked, and a folder counts as left once its owner has not touched it for a
// while.

import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync, rmSync } from "node:fs";
import { lstat, mkdir, readdir, rm, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** What a folder is for; the start of its name. */
export type OwnedKind = "tmp" | "use" | "polyllama-packed";

export interface OwnedFolder {
  readonly path: string;
  /** Removes it, if it still has its name. */
  remove(): Promise<void>;
}

const touchEvery = 60_000;
/** Milliseconds after which a folder that nobody touched is left behind, where its owner cannot be asked. */
const abandonedAfter = 10 * touchEvery;

/** Folders of this process that exist; they go with it, also where nobody disposed what they are for. */
const owned = new Set<string>();
let touching: NodeJS.Timeout | undefined;

/** Makes a folder of this process. @throws What mkdir throws. */
export async function createOwnedFolder(parent: string, kind: OwnedKind, mode?: number): Promise<OwnedFolder> {
  const path = join(
    parent,
    `${kind}-${domain()}-${process.pid}-${startOf(process.pid) ?? 0}-${randomBytes(6).toString("hex")}`,
  );
  await mkdir(path, { mode });
  if (owned.size === 0) begin();
  owned.add(path);
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true });
      owned.delete(path);
      if (owned.size === 0) end();
    },
  };
}

/** Removes what processes left in a folder that are gone. What cannot be removed stays. */
export async function removeLeftovers(parent: string, kinds: readonly OwnedKind[]): Promise<void> {
  for (const name of await readdir(parent).catch((): string[] => [])) {
    const path = join(parent, name);
    if (kinds.some((kind) => name.startsWith(`${kind}-`)) && (await isLeft(name, path))) {
      await rm(path, { recursive: true, force: true }).catch(() => undefined); // it may be another user's
    }
  }
}

async function isLeft(name: string, path: string): Promise<boolean> {
  const [, where, pid, start] = /^[a-z-]+-([0-9a-f]{16})-(\d+)-(\d+)-[0-9a-f]{12}$/.exec(name) ?? [];
  const found = where === undefined ? undefined : await lstat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return false; // nothing of ours
  if (where !== domain()) return Date.now() - found.mtimeMs > abandonedAfter;
  return !isRunning(Number(pid)) || (start !== "0" && (startOf(Number(pid)) ?? start) !== start);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"; // another user's
  }
}

let known: string | undefined;

/** Names the host, its boot and its space of process numbers, within which a number means one process. */
function domain(): string {
  known ??= createHash("sha256")
    .update(
      JSON.stringify([
        hostname(),
        attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
        attempt(() => readlinkSync("/proc/self/ns/pid")),
      ]),
    )
    .digest("hex")
    .slice(0, 16);
  return known;
}

/**
 * When a process started, in ticks since the boot; undefined where the system does not say (elsewhere than on Linux).
 */
function startOf(pid: number): string | undefined {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
  // The second field is the program's name in parentheses, with whatever it has in it; the state follows, the start is
  // the 22nd.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? "ended" : fields?.[19];
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function begin(): void {
  process.on("exit", removeAll);
  touching = setInterval(() => {
    const now = new Date();
    for (const path of owned) utimes(path, now, now).catch(() => undefined); // renamed or removed meanwhile
  }, touchEvery);
  touching.unref();
}

function end(): void {
  process.off("exit", removeAll);
  clearInterval(touching);
}

function removeAll(): void {
  for (const path of owned) rmSync(path, { recursive: true, force: true });
}
