import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readLines } from "../../src/data/lines.ts";
import { readDialogues, readJsonl, readTexts, streamDialogues } from "../../src/index.ts";
import { fileChunks } from "../../src/node.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
const texts = (text: string, separator?: string): Promise<readonly [number, string][]> =>
  all(readTexts([bytes(text)], { file: "a.txt", ...(separator !== undefined && { separator }) })).then((found) =>
    found.map(({ text, place }) => [place.line, text]),
  );

describe("lines", () => {
  test("are the same however the file is cut to chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom("a", "é", "春", "𪭢", "\r", " ") })),
        fc.integer({ min: 1, max: 7 }),
        async (lines, size) => {
          const whole = bytes(lines.map((line) => `${line}\n`).join(""));
          const buffer = new Uint8Array(size); // filled anew for each chunk, as streams may
          const chunks = (function* () {
            for (let at = 0; at < whole.length; at += size) {
              const chunk = whole.subarray(at, at + size);
              buffer.set(chunk);
              yield buffer.subarray(0, chunk.length);
            }
          })();
          expect(await all(readLines(chunks, "f"))).toEqual(lines.map((line) => line.replace(/\r$/, "")));
        },
      ),
    );
  });

  test("a last line needs no end; a byte order mark in front is none of the text, later ones are", async () => {
    expect(await all(readLines([bytes("\ufeffa\n\ufeffb")], "f"))).toEqual(["a", "\ufeffb"]);
  });

  test("what is not UTF-8 is refused with its line", async () => {
    const chunks = [bytes("a\n春\n"), Uint8Array.of(0x61, 0xff), bytes("b\nc\n")];
    await expect(all(readLines(chunks, "f.txt"))).rejects.toMatchObject({
      code: "ERR_DATA",
      line: 3,
      message: "f.txt, line 3: is not UTF-8; convert the file.",
    });
  });

  test("a line without an end is refused before it fills the memory", async () => {
    const chunk = new Uint8Array(1 << 22).fill(0x61);
    let given = 0;
    const chunks = (function* () {
      for (yield bytes("a\n"); ; given++) yield chunk;
    })();
    await expect(all(readLines(chunks, "f"))).rejects.toThrow("f, line 2: is longer than 64 MiB");
    expect(given).toBe(16);
  });
});

describe("texts", () => {
  test("a file is a document, or several between separators", async () => {
    expect(await texts("one\r\ntwo")).toEqual([[1, "one\ntwo\n"]]);
    expect(await texts("a\nb\n\n \nc\n\n", "")).toEqual([
      [1, "a\nb\n"],
      [5, "c\n"],
    ]);
    expect(await texts("a\n\n<|end|>\nb\n", "<|end|>")).toEqual([
      [1, "a\n\n"],
      [4, "b\n"],
    ]);
    expect(await texts("\n \n")).toEqual([]);
  });

  test("JSONL takes a field of each object, and names line and field of what is none", async () => {
    const lines = (text: string, field?: string) =>
      all(readJsonl([bytes(text)], { file: "a.jsonl", ...(field !== undefined && { field }) }));
    expect(await lines('{"text": "春"}\n\n{"text": "b", "id": 2}')).toEqual([
      { text: "春", place: { file: "a.jsonl", line: 1 } },
      { text: "b", place: { file: "a.jsonl", line: 3 } },
    ]);
    expect((await lines('{"content": "x"}', "content")).map(({ text }) => text)).toEqual(["x"]);
    await expect(lines('{"text": "a"}\n{"text": 3}')).rejects.toThrow("a.jsonl, line 2, text: is not a string.");
    await expect(lines('{"txt": "a"}')).rejects.toThrow("a.jsonl, line 1, text: is missing.");
    await expect(lines("{")).rejects.toThrow("a.jsonl, line 1: is not JSON");
    await expect(lines("[1]")).rejects.toThrow("a.jsonl, line 1: is not an object.");
  });

  test("dialogues of a file are those of its lines", async () => {
    const lines = [
      '{"instruction": "a", "input": "", "output": "b"}',
      "",
      '{"messages": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}',
    ];
    const options = { file: "d.jsonl" };
    const streamed = await all(streamDialogues([bytes(lines.join("\n"))], options));
    expect(streamed).toHaveLength(2);
    expect(streamed).toEqual([...readDialogues(lines, options)]);
  });

  test("files are read in chunks", async () => {
    const folder = await mkdtemp(join(tmpdir(), "texts-"));
    const path = join(folder, "a.txt");
    const lines = Array.from({ length: 50_000 }, (_, index) => `line ${index} ${"春".repeat(index % 40)}`);
    await writeFile(path, `${lines.join("\n")}\n`);
    expect((await all(fileChunks(path))).length).toBeGreaterThan(1);
    expect(await all(readLines(fileChunks(path), path))).toEqual(lines);
    await rm(folder, { recursive: true });
  });
});
