import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { textLines } from "../src/text-files.ts";
import { decodeText, readTextFile } from "../src/text-input.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-text-"));
  return () => rm(folder, { recursive: true });
});

const bytes = (...parts: readonly (string | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))));
const gbk = [0xb4, 0xba, 0xd2, 0xb9]; // 春夜
const utf16 = (text: string): number[] => [...Buffer.from(text, "utf16le")];

test("UTF-8 is read as it is, a byte order mark is no part of it", async () => {
  const path = join(folder, "a.txt");
  await writeFile(path, bytes([0xef, 0xbb, 0xbf], "春夜\n\ufeff👍"));
  expect(await readTextFile(path)).toBe("春夜\n\ufeff👍");
  expect(decodeText(bytes("abc"), "x")).toBe("abc");
  expect(decodeText(bytes(), "x")).toBe("");
});

test.each([
  ["GBK", bytes("Title: ", gbk, "\n"), /byte 7 \(0xb4\)/],
  ["an invalid byte behind characters of all lengths", bytes("aé月👍", [0xff], "a"), /byte 10 \(0xff\)/],
  ["a character that breaks off", bytes("aé", [0xf0, 0x9f, 0x91], "b"), /byte 3 \(0xf0\)/],
  ["a character that breaks off at the end", bytes("月", [0xe6, 0x9c]), /byte 3 \(0xe6\)/],
  ["a surrogate", bytes("a", [0xed, 0xa0, 0x80]), /byte 1 \(0xed\)/],
  ["an overlong form", bytes("ab", [0xc0, 0xaf]), /byte 2 \(0xc0\)/],
])("%s is refused with its place, in a prompt as in a corpus", async (_, content, place) => {
  const path = join(folder, "bad.txt");
  await writeFile(path, content);
  await expect(readTextFile(path)).rejects.toThrow(
    /bad\.txt is not UTF-8: byte .*; convert it first, such as with iconv/,
  );
  await expect(readTextFile(path)).rejects.toThrow(place);
  const lines = async (): Promise<void> => {
    for await (const _ of textLines([path], new AbortController().signal));
  };
  await expect(lines()).rejects.toThrow(place);
});

test("the place is that in the whole file, also far behind the first part that is read", async () => {
  const path = join(folder, "long.txt");
  for (const size of [2 ** 18 - 1, 2 ** 18, 2 ** 18 + 1, 600_001]) {
    await writeFile(path, bytes("月".repeat(Math.floor(size / 3)), "x".repeat(size % 3), [0xe6, 0x9c], "y"));
    const lines = async (): Promise<void> => {
      for await (const _ of textLines([path], new AbortController().signal));
    };
    await expect(lines()).rejects.toThrow(`byte ${size} (0xe6)`);
  }
});

test.each([
  ["with a mark", [0xff, 0xfe, ...utf16("Once")]],
  ["big-endian, with a mark", [0xfe, 0xff, 0, 0x4f]],
  ["without a mark", utf16("Once upon a time")],
])("UTF-16 %s is refused by name", (_, content) => {
  expect(() => decodeText(Buffer.from(content), "p.txt")).toThrow(/p\.txt is not UTF-8: it is UTF-16/);
});
