// Locks of downloads that are taken over, and pauses that end when nobody waits any more.

import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { takeLock } from "../src/hub/lock.ts";
import { urlSource } from "../src/read/sources/url.ts";
import { folderWith } from "./support.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("a lock that another process took over is neither kept alive nor removed by its first holder", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const path = join(await folderWith(), "lock");
  const lock = await takeLock(path, () => undefined, undefined);
  await rm(path); // as if it had not been touched for long
  await writeFile(path, "another's");
  const past = new Date("2024-01-02T03:04:05Z");
  await utimes(path, past, past);
  vi.advanceTimersByTime(60_000);
  await lock[Symbol.asyncDispose]();
  expect(await readFile(path, "utf8")).toBe("another's");
  expect((await stat(path)).mtime).toEqual(past);
});

test("a lock is kept alive while it is held, and goes when it is given back", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const path = join(await folderWith(), "lock");
  const lock = await takeLock(path, () => undefined, undefined);
  const past = new Date("2024-01-02T03:04:05Z");
  await utimes(path, past, past);
  vi.advanceTimersByTime(5_000);
  vi.useRealTimers();
  await vi.waitFor(async () => expect((await stat(path)).mtime).not.toEqual(past));
  await lock[Symbol.asyncDispose]();
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a read of a URL that waits for another try ends when it is aborted", async () => {
  let asked = 0;
  const fetch = async (): Promise<Response> => {
    if (asked++ > 0) throw new TypeError("fetch failed", { cause: new Error("no route") });
    return new Response(new Uint8Array(1), { status: 206, headers: { "Content-Range": "bytes 0-0/100", ETag: '"1"' } });
  };
  const source = await urlSource("http://files.example.test/m", { fetch });
  vi.useFakeTimers({ toFake: ["setTimeout"] }); // the pause ends by the signal or not at all
  const controller = new AbortController();
  const reading = source!.read(0, 100, controller.signal);
  await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(reading).rejects.toBe(reason);
});
