import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "./captured.ts";

const own = join(poet, "tokenizer.model");
const verses = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。", "明月几时有，把酒问青天。"];
let folder: string;
let corpus: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-tokenizer-"));
  corpus = join(folder, "corpus.txt");
  await writeFile(corpus, `${verses.join("\r\n")}\n`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("polyllama tokenizer", () => {
  test("encode and decode are exact, line breaks included", async () => {
    const encoded = await run(["tokenizer", "encode", "--tokenizer", own, "--json"], "hello\n\n");
    expect(encoded).toMatchObject({ code: 0, stderr: "" });
    const { ids } = JSON.parse(encoded.stdout) as { ids: number[] };
    expect(ids.length).toBeGreaterThan(2);
    const decoded = await run(["tokenizer", "decode", "--tokenizer", own], encoded.stdout);
    expect(decoded).toMatchObject({ code: 0, stdout: "hello\n\n" });
  });

  test("train, merge, extend-vocab and stats walk the whole road", async () => {
    const [extra, grown] = [join(folder, "extra.model"), join(folder, "grown.model")];
    const train = ["tokenizer", "train", corpus, "-o", extra, "--vocab-size", "300", "--coverage", "1"];
    const trained = await run([...train, "--user-symbol", "青天"]);
    expect(trained, trained.stderr).toMatchObject({ code: 0 });
    expect(trained.stderr).toContain("300 pieces");

    const merged = await run(["tokenizer", "merge", own, extra, "-o", grown]);
    expect(merged, merged.stderr).toMatchObject({ code: 0 });
    const base = await readFile(own);
    const end = base.length - 200; // the base's pieces stand in front, as they were
    expect((await readFile(grown)).subarray(0, end).equals(base.subarray(0, end))).toBe(true);

    const output = join(folder, "grown.gguf");
    const extended = await run(["extend-vocab", poet, "--tokenizer", grown, "-o", output]);
    expect(extended, extended.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining("peak memory") });
    const stats = await run(["tokenizer", "stats", corpus, "--tokenizer", own, "--tokenizer", output]);
    expect(stats.stdout).toContain(`corpus.txt: ${verses.join("").length} characters, 3 lines`);
    const [before, after] = ["tokenizer.model", "grown.gguf"].map((name) =>
      Number(new RegExp(`${name} +(\\d+) `).exec(stats.stdout)?.[1]),
    );
    expect(after).toBeLessThan(before!);
    expect(stats.stdout).toMatch(/tokenizer\.model +\d+ +\d\.\d{3} +█{40}\n/);
  });

  test("refuses what it cannot read", async () => {
    const bad = join(folder, "latin1.txt");
    await writeFile(bad, Uint8Array.of(0x61, 0xe9, 0x62, 0x0a));
    const training = await run(["tokenizer", "train", bad, "-o", join(folder, "x.model"), "--vocab-size", "300"]);
    expect(training.code).toBe(2);
    expect(training.stderr).toMatch(/^error: .*latin1\.txt is not UTF-8: byte 1 \(0xe9\).*; convert it first.*\n$/);
    await expect(access(join(folder, "x.model"))).rejects.toThrow();
  });
});

describeWithShared("polyllama tokenizer stats", () => {
  test("counts the tokens of a novel as docs/vocabulary.md states", async () => {
    const files = ["llama2", "chinese-llama-1", "chinese-llama-2"].map((name) => shared(`tokenizers/${name}.model`));
    const given = files.flatMap((file) => ["--tokenizer", file]);
    const stats = await run(["tokenizer", "stats", shared("corpora/zh/红楼梦.txt"), ...given]);
    expect(stats, stats.stderr).toMatchObject({ code: 0 });
    expect(stats.stdout).toContain("红楼梦.txt: 849,751 characters, 5,591 lines");
    const counts = [...stats.stdout.matchAll(/\.model +([\d,]+) /g)].map(([, count]) => count);
    expect(counts).toEqual(["1,356,603", "747,028", "735,364"]);
  });
});
