import { uniform } from "@polyllama/test-support/random";
import { describe, expect, test } from "vitest";
import { bandRows, createDuplicateFinder } from "../../src/data/duplicates.ts";
import { hash32 } from "../../src/data/hash.ts";
import { minHash, shingles } from "../../src/data/min-hash.ts";
import { createOverlapFinder, textHash } from "../../src/index.ts";

/** Words drawn from a few hundred. */
function prose(seed: number, words: number): string {
  const next = uniform(seed);
  return Array.from({ length: words }, () => `w${Math.floor(1000 * next()).toString(36)}x`).join(" ");
}

describe("hashes", () => {
  test("are the same everywhere", () => {
    expect(textHash("")).toBe("1388a0fbede1521e6cc8e406ccbe4a01");
    expect(textHash("春夜 Spring night")).toBe("15cb09af0b0cfaf6f6302f1227bccc1d");
    expect(hash32("xabcx", 7, 1, 4)).toBe(hash32("abc", 7));
  });
});

describe("duplicates", () => {
  test("exact ones differ in case, width, punctuation and white space alone", () => {
    const finder = createDuplicateFinder({ threshold: 1 });
    expect(finder.add("Hello, World 42!")).toBeUndefined();
    expect(finder.add("Hello, World 43!")).toBeUndefined();
    expect(finder.add("  hello\nｗｏｒｌｄ： 42 ")).toEqual({ kind: "exact", of: 0, similarity: 1 });
    expect(finder.add("hello world 43")).toMatchObject({ of: 1 });
    expect(finder.kept).toBe(2);
  });

  test("texts without letters are never duplicates", () => {
    const finder = createDuplicateFinder();
    expect([finder.add("..."), finder.add("!!!"), finder.add("...")]).toEqual([undefined, undefined, undefined]);
    expect(finder.add(prose(1, 30))).toBeUndefined();
    expect(finder.add(prose(1, 30))).toMatchObject({ kind: "exact", of: 3 });
  });

  test("near ones are found from the threshold on, others are not", () => {
    const texts = Array.from({ length: 200 }, (_, seed) => prose(seed + 1, 200));
    const changed = (text: string, words: number): string =>
      text
        .split(" ")
        .map((word, index) => (index % Math.floor(200 / words) === 0 ? `${word}y` : word))
        .join(" ");
    const finder = createDuplicateFinder({ threshold: 0.7 });
    expect(texts.filter((text) => finder.add(text) !== undefined)).toEqual([]);
    const found = texts.map((text) => finder.add(changed(text, 4)));
    expect(found.filter((each, index) => each?.kind === "near" && each.of === index)).toHaveLength(200);
    const others = createDuplicateFinder({ threshold: 0.7 });
    for (const text of texts) others.add(text);
    expect(texts.filter((text) => others.add(changed(text, 200)) !== undefined)).toEqual([]);
  });

  test("signatures agree in the share of n-grams that sets have in common", () => {
    const sign = minHash(64);
    const [a, b] = [new Uint32Array(64), new Uint32Array(64)];
    let agreeing = 0;
    const pairs = 200;
    for (let pair = 0; pair < pairs; pair++) {
      const hashes = Array.from({ length: 300 }, (_, index) => hash32(`${pair} ${index}`, 0));
      sign(new Set(hashes.slice(0, 200)), a);
      sign(new Set(hashes.slice(100, 300)), b); // 100 of 300 in common
      agreeing += a.reduce((sum, value, place) => sum + Number(value === b[place]), 0);
    }
    const deviation = Math.sqrt(((1 / 3) * (2 / 3)) / (64 * pairs));
    expect(Math.abs(agreeing / (64 * pairs) - 1 / 3)).toBeLessThan(4 * deviation);
  });

  test("bands find what they are to find", () => {
    for (const threshold of [0.5, 0.6, 0.8, 0.9]) {
      const rows = bandRows(threshold);
      expect(1 - (1 - threshold ** rows) ** (64 / rows)).toBeGreaterThanOrEqual(0.95);
    }
    expect(bandRows(0.95)).toBeGreaterThan(bandRows(0.6));
  });

  test("options are checked", () => {
    expect(() => createDuplicateFinder({ threshold: 1.5 })).toThrow("threshold must be a number from 0.1 to 1");
  });
});

describe("overlap", () => {
  test("is the share of the shorter text that lies in the other", () => {
    const [first, second, third] = [prose(1, 300), prose(2, 300), prose(3, 300)];
    const finder = createOverlapFinder([first, second], 12);
    expect(finder.overlap(third)).toBe(0);
    expect(finder.overlap(second.toUpperCase())).toBe(1);
    expect(finder.overlap(second.slice(200, 500))).toBe(1);
    expect(finder.overlap(`${third} ${second} ${third}`)).toBe(1);
    const half = finder.overlap(`${first.slice(0, first.length / 2)} ${third.slice(0, third.length / 2)}`);
    expect(half).toBeGreaterThan(0.45);
    expect(half).toBeLessThan(0.55);
  });

  test("short texts are one n-gram", () => {
    expect(shingles("ab", 5).size).toBe(1);
    expect(createOverlapFinder(["ab"], 5).overlap("AB")).toBe(1);
    expect(createOverlapFinder(["ab"], 5).overlap("cd")).toBe(0);
  });
});
