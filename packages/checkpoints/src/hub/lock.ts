// One process at a time fetches a file; the others wait and then find it there. A lock is a file that its holder
// touches every few seconds. One that was not touched for a minute, or whose process is gone from this machine, is
// nobody's any more. Should two processes ever hold the same lock nevertheless, a file that is not what it should be
// still never reaches the cache (download.ts).

import { type FileHandle, link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const beat = 5_000;
const stale = 60_000;
const poll = 200;

/**
 * Waits for the lock and takes it; disposing gives it back.
 *
 * @param onWait Called once when another process holds it.
 */
export async function takeLock(
  path: string,
  onWait: () => void,
  signal: AbortSignal | undefined,
): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true });
  let handle = await create(path);
  for (let waited = false; handle === undefined; handle = await create(path)) {
    const abandoned = await findAbandoned(path);
    if (abandoned !== undefined) {
      await removeLock(path, abandoned);
      continue;
    }
    if (!waited) onWait();
    waited = true;
    await pause(poll, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
  }
  // By its handle, not by its name: under that another process may have put a lock of its own, if this one was stopped
  // for long.
  const held = handle;
  const { ino } = await held.stat();
  const timer = setInterval(() => {
    const now = new Date();
    held.utimes(now, now).catch(() => undefined);
  }, beat);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      if ((await stat(path).catch(() => undefined))?.ino === ino) await removeLock(path, ino);
      await held.close();
    },
  };
}

/** Makes the lock; undefined where there is one. */
async function create(path: string): Promise<FileHandle | undefined> {
  try {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(JSON.stringify({ host: hostname(), pid: process.pid }));
    } catch (error) {
      await handle.close();
      await rm(path, { force: true });
      throw error;
    }
    return handle;
  } catch (error) {
    // Windows says EPERM while a lock is being removed.
    if (error instanceof Error && "code" in error && ["EEXIST", "EPERM"].includes(String(error.code))) {
      if (error.code === "EEXIST" || (await stat(path).catch(() => undefined)) !== undefined) return undefined;
    }
    throw error;
  }
}

/** The inode of the lock, if it is nobody's any more. */
async function findAbandoned(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (Date.now() - found.mtimeMs > stale) return found.ino;
  const [, host, pid] = /^\{"host":(".*"),"pid":(\d+)\}$/.exec(await readFile(path, "utf8").catch(() => "")) ?? [];
  if (host !== JSON.stringify(hostname())) return undefined;
  try {
    process.kill(Number(pid), 0);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH" ? found.ino : undefined;
  }
}

/**
 * Removes the lock with this inode. It is moved away first, since another process may have replaced it; such a one is
 * put back.
 */
async function removeLock(path: string, inode: number): Promise<void> {
  const aside = `${path}.${process.pid}-${moved++}`;
  const found = await rename(path, aside)
    .then(() => stat(aside))
    .catch(() => undefined);
  if (found !== undefined && found.ino !== inode) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

let moved = 0;
