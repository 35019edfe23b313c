import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSentencePiece, tokenizerFromSentencePiece } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { trainVocabulary } from "../src/index.ts";
import { mergePairs } from "../src/train/pairs.ts";

const lines = [
  "the cat sat on the mat, the cat sat  down",
  "2024 cats and 1999 mats",
  "床前明月光，疑是地上霜。",
  "举头望明月，低头思故乡。",
];
const small = { vocabSize: 325, characterCoverage: 1 } as const;

describe("training", () => {
  test("reserves bytes and symbols, then gives merges by frequency, then characters", async () => {
    const { model } = await trainVocabulary(lines, {
      ...small,
      userDefinedSymbols: ["明月"],
      controlSymbols: ["<pad>"],
    });
    const { pieces, kinds, scores, byteFallback } = readSentencePiece(model, "trained");
    expect(pieces).toHaveLength(325);
    expect(pieces.slice(0, 6)).toEqual(["<unk>", "<s>", "</s>", "<pad>", "明月", "<0x00>"]);
    expect(kinds.slice(0, 6)).toEqual([2, 3, 3, 3, 4, 6]);
    expect(byteFallback).toBe(true);
    expect(pieces.slice(261, 264)).toEqual(["at", "he", "▁c"]); // 6 times; 4 times, in order of code points
    expect(scores.slice(261, 264)).toEqual(Float32Array.of(-0, -1, -2));
    expect(pieces.at(-1)).toHaveLength(1);
    expect(pieces.some((piece) => piece.length > 1 && /^▁?[\p{Script=Han}\d]*\d/u.test(piece))).toBe(false);
    const tokenizer = tokenizerFromSentencePiece(model, "trained");
    expect(tokenizer.encode("望明月", { bos: false })).toContain(4);
  });

  test("gives a vocabulary that any text comes back from", async () => {
    const { model } = await trainVocabulary(lines, small);
    const tokenizer = tokenizerFromSentencePiece(model, "trained");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(!text.includes("▁"));
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replace(/\p{Surrogate}/gu, "\uFFFD"));
      }),
    );
  });

  test("merges as counting everything anew after each merge does", () => {
    const letter = fc.constantFrom(..."abc▁");
    const word = fc.array(letter, { minLength: 1, maxLength: 9 }).map((list) => list.join(""));
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(word, fc.integer({ min: 1, max: 4 })), { selector: ([w]) => w }), (words) => {
        const input = words.map(([text, count]) => [Array.from(text, (c) => c.codePointAt(0)!), count] as const);
        expect([...mergePairs(input, { maxPieceLength: 5, space: "▁" })]).toEqual(slowly(words, 5));
      }),
    );
  });

  test("says why it cannot", async () => {
    const attempts: readonly [Parameters<typeof trainVocabulary>[1] & object, RegExp][] = [
      [{ vocabSize: 270, characterCoverage: 1 }, /do not fit into a vocabulary of 270/],
      [{ vocabSize: 5000 }, /yields only \d+ pieces/],
      [{ vocabSize: 325, characterCoverage: 0.5 }, /characterCoverage/],
      [{ vocabSize: 325, userDefinedSymbols: ["<s>"] }, /there twice/],
    ];
    for (const [options, message] of attempts) await expect(trainVocabulary(lines, options)).rejects.toThrow(message);
    const skipping = await trainVocabulary([...lines, "x".repeat(5000), "a\u2585b"], small);
    expect(skipping).toMatchObject({ lines: 6, skipped: 2 });
  });

  test("stops when it is told to, and shows how far it is", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    async function* endless(): AsyncGenerator<string> {
      for (let line = 0; ; line++) yield `line ${line} ${"abc ".repeat(50)}`;
    }
    const phases: string[] = [];
    const training = trainVocabulary(endless(), {
      vocabSize: 500,
      signal: controller.signal,
      onProgress({ phase }) {
        phases.push(phase);
        if (phases.length === 2) controller.abort(reason);
      },
    });
    await expect(training).rejects.toBe(reason);
    expect(phases).toEqual(["reading", "reading"]);
  });
});

/** What the trainer must equal: count all pairs, take the best, replace it from left to right, and begin again. */
/** Whether spaces stand alone or one of them in front. */
const isPiece = (pair: string): boolean => /^(▁+|▁?[^▁]+)$/.test(pair.replace(" ", ""));

function slowly(words: readonly (readonly [string, number])[], maxLength: number): string[] {
  let rows = words.map(([text, count]) => ({ symbols: [...text], count }));
  const done = new Set<string>(); // pairs that were taken, or dropped
  const pieces: string[] = [];
  for (;;) {
    const counts = new Map<string, number>();
    for (const { symbols, count } of rows) {
      const ends = new Map<string, number>();
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = `${symbols[i]} ${symbols[i + 1]}`;
        if (done.has(pair) || pair.length - 1 > maxLength || !isPiece(pair)) continue;
        if (symbols[i] === symbols[i + 1] && ends.get(pair) === i) continue;
        ends.set(pair, i + 1);
        counts.set(pair, (counts.get(pair) ?? 0) + count);
      }
    }
    const [best] = [...counts].sort(
      ([a, x], [b, y]) => y - x || a.length - b.length || (a.replace(" ", "") < b.replace(" ", "") ? -1 : 1),
    );
    if (best === undefined) return pieces;
    done.add(best[0]);
    const [left, right] = best[0].split(" ");
    const piece = `${left}${right}`;
    if (pieces.includes(piece)) continue;
    pieces.push(piece);
    rows = rows.map(({ symbols, count }) => {
      const merged: string[] = [];
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right) {
          merged.push(piece);
          i++;
        } else merged.push(symbols[i]!);
      }
      return { symbols: merged, count };
    });
  }
}

// SentencePiece itself, where Python has it: Debian's python3-sentencepiece.
const python = ["python3", "/usr/bin/python3"].find(
  (name) => spawnSync(name, ["-c", "import sentencepiece"], { timeout: 20_000 }).status === 0,
);

describeWithShared("beside SentencePiece", () => {
  const folder = mkdtempSync(join(tmpdir(), "polyllama-train-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.skipIf(python === undefined)(
    "the trained model has SentencePiece's own pieces, and encodes 10,000 lines as it does (needs python3-sentencepiece)",
    async () => {
      const text = readFileSync(shared("corpora/zh/西游记.txt"), "utf8").split("\n");
      const training = text.slice(0, 3000);
      const { model } = await trainVocabulary(training, { vocabSize: 5000 });
      const ours = join(folder, "ours.model");
      writeFileSync(ours, model);
      writeFileSync(join(folder, "training.txt"), training.join("\n"));

      const poems = readFileSync(shared("corpora/zh/chinese-poetry-quantangshi.txt"), "utf8").split("\n");
      const lines = Array.from({ length: 10_000 }, (_, i) =>
        i < 3000 ? text[3000 + i]! : poems[(i * 7919) % poems.length]!,
      );
      writeFileSync(join(folder, "lines.json"), JSON.stringify(lines));
      const script = `
import json, sentencepiece as spm
spm.SentencePieceTrainer.train(input="training.txt", model_prefix="theirs", vocab_size=5000, model_type="bpe",
    character_coverage=0.9995, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True,
    normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
lines = json.load(open("lines.json", encoding="utf8"))
print(json.dumps(spm.SentencePieceProcessor(model_file="ours.model").encode(lines)))`;
      const { stdout, stderr, status } = spawnSync(python!, ["-c", script], {
        cwd: folder,
        encoding: "utf8",
        maxBuffer: 2 ** 28,
        timeout: 110_000,
      });
      expect(status, stderr).toBe(0);
      const theirs = readFileSync(join(folder, "theirs.model"));
      expect(readSentencePiece(model, "trained")).toEqual(readSentencePiece(theirs, "trained")); // scores and kinds too
      const ids = JSON.parse(stdout) as number[][];
      const tokenizer = tokenizerFromSentencePiece(model, ours);
      for (const [i, line] of lines.entries()) {
        expect(tokenizer.encode(line, { bos: false }), line).toEqual(ids[i]);
      }
    },
  );
});
