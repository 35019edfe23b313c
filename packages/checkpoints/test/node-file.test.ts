import { open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint, openFile } from "../src/index.ts";
import { failure, folderWith } from "./support.ts";

describe("files", () => {
  test("positions beyond 4 GiB are read, without reading what lies before", async () => {
    const path = join(await folderWith(), "large");
    const position = 5 * 2 ** 30 + 12345;
    const file = await open(path, "w");
    await file.write(new Uint8Array([1, 2, 3, 4]), 0, 4, position); // sparse: the rest takes no space
    await file.close();
    const source = await openFile(path);
    try {
      expect(source.size).toBe(position + 4);
      expect([...(await source.read(position - 2, 6))]).toEqual([0, 0, 1, 2, 3, 4]);
      expect((await failure(source.read(position, 5))).message).toMatch(/the file ends at 5368721469/);
      expect((await failure(source.read(-1, 5))).code).toBe("ERR_CHECKPOINT");
      expect((await failure(source.read(0, 2 ** 60))).code).toBe("ERR_CHECKPOINT");
    } finally {
      await source.close();
    }
  });

  test("many reads at once on one handle do not disturb each other", async () => {
    const path = join(await folderWith({ file: Uint8Array.from({ length: 65536 }, (_, i) => i * 7) }), "file");
    const source = await openFile(path);
    const reads = await Promise.all(Array.from({ length: 64 }, (_, i) => source.read(i * 1000, 1000)));
    for (const [i, bytes] of reads.entries()) {
      expect(bytes).toEqual(Uint8Array.from({ length: 1000 }, (_, j) => (i * 1000 + j) * 7));
      expect(bytes.buffer.byteLength).toBe(1000); // a buffer of its own
    }
    await source.close();
    const error = await failure(source.read(0, 1));
    expect(error.code).toBe("ERR_DISPOSED");
    await source.close();
  });

  test("a file that shrinks, grows or is rewritten while it is open is noticed", async () => {
    for (const change of [
      (path: string) => truncate(path, 50),
      (path: string) => truncate(path, 200),
      (path: string) => writeFile(path, new Uint8Array(100)),
    ]) {
      const path = join(await folderWith({ file: new Uint8Array(100).fill(1) }), "file");
      const source = await openFile(path);
      await source.read(0, 100);
      await new Promise((resolve) => setTimeout(resolve, 20)); // so that the modification time differs
      await change(path);
      expect((await failure(source.read(0, 100))).message).toMatch(/file: the file changed while it was open/);
      await source.close();
    }
  });

  test.skipIf(process.platform === "win32")("devices are refused instead of read without end", async () => {
    expect((await failure(openFile("/dev/zero"))).message).toMatch(/not a regular file/);
    expect((await failure(openCheckpoint("/dev/zero"))).message).toMatch(/not a regular file/);
  });

  test("an aborted read throws the signal's reason", async () => {
    const path = join(await folderWith({ file: new Uint8Array(100) }), "file");
    const source = await openFile(path);
    await expect(source.read(0, 100, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
    await source.close();
  });
});
