import { appendFile, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeHeader, encodeHeader } from "../../src/data/token-format.ts";
import { vocabularyFingerprint } from "../../src/data/vocabulary-fingerprint.ts";
import { openTokenFile, writeTokenFile } from "../../src/node.ts";

const tokenizer = tinyTokenizer();
/** Of which ids need four bytes. */
const large = tinyTokenizer(Array.from({ length: 66_000 }, (_, index) => ({ piece: `p${index}`, score: -index })));
const documents = [[1, 5, 2], [1, 6, 7, 8, 2], [300], [1, 2]].map((ids) => ids.map((id) => id % tokenizer.vocabSize));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokens-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("a file of tokens", () => {
  test("gives back any document, in any order", async () => {
    const path = join(folder, "any");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(tokenizer.vocabSize - 1), { minLength: 1, maxLength: 9 }), { maxLength: 30 }),
        async (written) => {
          const header = await writeTokenFile(path, written, tokenizer);
          expect(header).toMatchObject({ documents: written.length, tokens: written.flat().length, width: 2 });
          await using file = await openTokenFile(path, tokenizer);
          expect(file.header).toEqual(header);
          for (const [index, ids] of [...written.entries()].reverse()) {
            expect([...(await file.read(index)).ids]).toEqual(ids);
          }
          await expect(file.read(written.length)).rejects.toThrow(`has no document ${written.length}`);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("holds more than a buffer of documents that come with time", async () => {
    const path = join(folder, "long");
    const ids = (document: number): readonly number[] => Array.from({ length: 3000 }, (_, at) => (at + document) % 500);
    const coming = (async function* () {
      for (let document = 0; document < 300; document++) yield ids(document);
    })();
    await writeTokenFile(path, coming, large);
    await using file = await openTokenFile(path, large);
    expect(file).toMatchObject({ documents: 300, tokens: 900_000, header: { width: 4 } });
    for (const document of [299, 0, 150]) expect([...(await file.read(document)).ids]).toEqual(ids(document));
  });

  test("has four bytes for the tokens of large vocabularies", async () => {
    const path = join(folder, "large");
    await writeTokenFile(path, [[66_258, 1]], large);
    await using file = await openTokenFile(path, large);
    expect([...(await file.read(0)).ids]).toEqual([66_258, 1]);
  });

  test("is laid out as its format says", async () => {
    const path = join(folder, "layout");
    await writeTokenFile(path, [[1, 258], [2]], tokenizer);
    const bytes = await readFile(path);
    expect(bytes.subarray(0, 8).toString("latin1")).toBe("PLTOKENS");
    expect(bytes.subarray(40, 56).toString("hex")).toBe(vocabularyFingerprint(tokenizer));
    expect([...bytes.subarray(64, 72)]).toEqual([1, 0, 2, 1, 2, 0, 0, 0]);
    expect([0, 1, 2].map((at) => Number(bytes.readBigUInt64LE(72 + 8 * at)))).toEqual([0, 2, 3]);
    expect(bytes.length).toBe(96);
  });

  test("appears when it is complete, and nothing is left of one that was not", async () => {
    const inner = await mkdtemp(join(folder, "inner-"));
    const path = join(inner, "f");
    await writeTokenFile(path, documents, tokenizer);
    const before = await readFile(path);
    const failing = (function* () {
      yield [1, 2];
      throw new Error("no more");
    })();
    await expect(writeTokenFile(path, failing, tokenizer)).rejects.toThrow("no more");
    await expect(writeTokenFile(path, [[1], []], tokenizer)).rejects.toThrow("Document 1 has no tokens");
    for (const wrong of [-1, tokenizer.vocabSize, 1.5]) {
      await expect(writeTokenFile(path, [[1, wrong]], tokenizer)).rejects.toMatchObject({ code: "ERR_DATA" });
    }
    expect(await readdir(inner)).toEqual(["f"]);
    expect(await readFile(path)).toEqual(before);
  });
});

describe("refused is", () => {
  const refusal = async (change: (path: string) => Promise<void>): Promise<unknown> => {
    const path = join(folder, "refused");
    await writeTokenFile(path, documents, tokenizer);
    await change(path);
    return openTokenFile(path, tokenizer).then(
      () => "opened",
      (error: unknown) => error,
    );
  };

  test("a file that was cut off anywhere, or that something was added to", async () => {
    const size = (await readFile(join(folder, "any"))).length;
    expect(size).toBeGreaterThan(64);
    for (const length of [0, 10, 63, 64, 80]) {
      expect(await refusal((path) => truncate(path, length))).toMatchObject({
        code: "ERR_DATA",
        message: expect.stringMatching(/cut off.*Tokenize the text anew/),
      });
    }
    expect(await refusal((path) => appendFile(path, "x"))).toMatchObject({ code: "ERR_DATA" });
  });

  test("another kind of file, or another version", async () => {
    expect(await refusal((path) => writeFile(path, "x".repeat(200)))).toMatchObject({
      message: expect.stringContaining("is no file of tokens"),
    });
    const version = async (path: string): Promise<void> => {
      const file = await open(path, "r+");
      await file.write(Uint8Array.of(9), 0, 1, 8);
      await file.close();
    };
    expect(await refusal(version)).toMatchObject({ message: expect.stringContaining("has version 9 of the format") });
  });

  test("a file of another vocabulary, even of the same size", async () => {
    const path = join(folder, "vocabulary");
    await writeTokenFile(path, documents, tokenizer);
    const size = tokenizer.vocabSize - 259;
    const other = tinyTokenizer(Array.from({ length: size }, (_, index) => ({ piece: `q${index}`, score: -index })));
    expect(other.vocabSize).toBe(tokenizer.vocabSize);
    await expect(openTokenFile(path, other)).rejects.toMatchObject({
      code: "ERR_DATA",
      message: expect.stringContaining("another vocabulary"),
    });
    await expect(openTokenFile(path, large)).rejects.toThrow(
      `with ${tokenizer.vocabSize} pieces; the model's has 66259`,
    );
  });

  test("a document whose start is damaged", async () => {
    const path = join(folder, "start");
    await writeTokenFile(path, documents, tokenizer);
    const bytes = await readFile(path);
    bytes.writeBigUInt64LE(1000n, bytes.length - 8 * documents.length);
    await writeFile(path, bytes);
    await using file = await openTokenFile(path, tokenizer);
    await expect(file.read(0)).rejects.toThrow("has a damaged start of document 0");
    expect([...(await file.read(2)).ids]).toEqual(documents[2]);
  });
});

test("headers are read as they were written", () => {
  const header = {
    width: 4,
    vocabSize: 70_000,
    fingerprint: "00ff".repeat(8),
    documents: 2 ** 40,
    tokens: 2 ** 45,
  } as const;
  expect(decodeHeader(encodeHeader(header))).toEqual(header);
});
