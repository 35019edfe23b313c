import { readFileSync } from "node:fs";
import { fixture } from "@polyllama/test-support/fixtures";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { type TinyPiece, tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Tokenizer, tokenizerFromGguf, tokenizerFromLlama2c, tokenizerFromSentencePiece } from "../src/index.ts";
import { readSentencePiece } from "../src/tokenizer/sentencepiece.ts";

const json = (path: string | URL): unknown => JSON.parse(readFileSync(path, "utf8"));
const load = (path: string | URL): Tokenizer => tokenizerFromSentencePiece(readFileSync(path), String(path));

/** The same vocabulary as a GGUF file would carry it. */
function throughGguf(path: string): Tokenizer {
  const { pieces, scores, kinds, bos, eos } = readSentencePiece(readFileSync(path), path);
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", [...pieces]],
    ["tokenizer.ggml.scores", scores],
    ["tokenizer.ggml.token_type", Int32Array.from(kinds)],
    ["tokenizer.ggml.bos_token_id", bos],
    ["tokenizer.ggml.eos_token_id", eos],
    ["tokenizer.ggml.unknown_token_id", kinds.indexOf(2)],
    ["tokenizer.ggml.add_bos_token", true],
  ]);
  return tokenizerFromGguf(metadata, path);
}

interface Golden {
  readonly cases: readonly {
    readonly text: string;
    readonly ids: Readonly<Record<string, number[]>>;
    readonly decoded: Readonly<Record<string, string>>;
  }[];
}

describeWithShared("SentencePiece's own results", () => {
  describe.each(["llama2", "chinese-llama-2", "chinese-llama-1"])("%s", (model) => {
    const path = shared(`tokenizers/${model}.model`);
    const { cases } = json(shared("vectors/sentencepiece-golden.json")) as Golden;

    test.each([
      ["tokenizer.model", load],
      ["GGUF", throughGguf],
    ])("%s: ids and decoded text of 61 texts", (_, make) => {
      const tokenizer = make(path);
      expect(cases).toHaveLength(61);
      for (const { text, ids, decoded } of cases) {
        expect(tokenizer.encode(text, { bos: false }), text).toEqual(ids[model]);
        expect(tokenizer.encode(text), text).toEqual([tokenizer.bos, ...ids[model]!]);
        expect(tokenizer.decode(ids[model]!), text).toBe(decoded[model]);
      }
    });
  });

  test("the cases of llama-tokenizer-js", () => {
    const cases = json(shared("vectors/llama-tokenizer-js-cases.json")) as { text: string; ids: number[] }[];
    const tokenizer = load(shared("tokenizers/llama2.model"));
    expect(cases).toHaveLength(12);
    for (const { text, ids } of cases) {
      expect(tokenizer.encode(text), text).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  test("a Chinese vocabulary halves the length of Chinese text", () => {
    const text = "人工智能是计算机科学、心理学、哲学等学科融合的交叉学科。";
    const length = (model: string): number =>
      load(shared(`tokenizers/${model}.model`)).encode(text, { bos: false }).length;
    expect(length("llama2")).toBe(35);
    expect(length("chinese-llama-1")).toBe(16);
  });

  test("a unigram model is refused by name", () => {
    expect(() => load(shared("tokenizers/chinese-sp-20000.model"))).toThrow(/model type is unigram/);
  });

  test("the poet's vocabulary gives back what it was given", () => {
    const tokenizer = load(shared("weights/poet/tokenizer.model"));
    const text = readFileSync(shared("corpora/zh/西游记.txt"), "utf8").slice(0, 20_000);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  test("llama2.c's tok512.bin encodes a story as run.c generated it", () => {
    const tokenizer = tokenizerFromLlama2c(readFileSync(shared("weights/tok512.bin")), 512, "tok512.bin");
    const { input_ids: ids } = json(shared("reference/stories260K-greedy.json")) as { input_ids: number[] };
    const text = tokenizer.decode(ids);
    expect(text).toMatch(/^Once upon a time, there was a little girl named Lily\. She loved to play outside/);
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(() => tokenizerFromLlama2c(readFileSync(shared("weights/tok512.bin")), 511, "tok512.bin")).toThrow(
      /follow the 511 pieces/,
    );
  });
});

describe("fixtures with every rule of SentencePiece", () => {
  interface Case {
    readonly ids: number[];
    readonly decoded: string;
  }
  interface Fixture {
    readonly models: Readonly<Record<string, { texts: (Case & { text: string })[]; sequences: Case[] }>>;
  }
  const { models } = json(fixture("sentencepiece.json")) as Fixture;

  // rules: a character map, extra white space removed, user-defined and control pieces, no bytes.
  // unused: unused pieces that are split again, bytes, no space in front.
  test.each(["rules", "unused"])("%s.model equals SentencePiece", (name) => {
    const tokenizer = load(fixture(`${name}.model`));
    const { texts, sequences } = models[name]!;
    for (const { text, ids, decoded } of texts) {
      expect(tokenizer.encode(text, { bos: false }), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
    }
    for (const { ids, decoded } of sequences) expect(tokenizer.decode(ids), ids.join()).toBe(decoded);
  });
});

describe("merging", () => {
  /** What the heap must equal: look at all neighbours, merge the best, the leftmost of equals, and begin again. */
  function slowly(text: string, pieces: readonly TinyPiece[]): string[] {
    const scores = new Map(pieces.map(({ piece, score }) => [piece, score]));
    const symbols = [...text];
    for (;;) {
      let best = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const score = scores.get(symbols[i]! + symbols[i + 1]!);
        if (score !== undefined && (best < 0 || score > scores.get(symbols[best]! + symbols[best + 1]!)!)) best = i;
      }
      if (best < 0) return symbols;
      symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
    }
  }

  test("takes the best score, the leftmost of equals, whatever the vocabulary", () => {
    const letters = fc.constantFrom("a", "b", "é", "🦙");
    const piece = fc.array(letters, { minLength: 1, maxLength: 5 }).map((list) => list.join(""));
    const vocabulary = fc.uniqueArray(fc.record({ piece, score: fc.integer({ min: -3, max: 0 }) }), {
      selector: (entry) => entry.piece,
      maxLength: 30,
    });
    fc.assert(
      fc.property(vocabulary, fc.array(letters, { maxLength: 40 }), (random, text) => {
        const singles = ["a", "b", "é", "🦙"].filter((letter) => !random.some((entry) => entry.piece === letter));
        const pieces = [...random, ...singles.map((letter) => ({ piece: letter, score: -9 }))];
        const tokenizer = tinyTokenizer(pieces, [["tokenizer.ggml.add_space_prefix", false]]);
        const ids = tokenizer.encode(text.join(""), { bos: false });
        expect(ids.map((id) => tokenizer.piece(id))).toEqual(slowly(text.join(""), pieces));
      }),
    );
  });

  test.each(["a", "🦙", " ", "hello "])("a megabyte of %j is encoded and comes back", (unit) => {
    const tokenizer = tinyTokenizer([
      ...["▁", "▁▁", "▁▁▁▁", "a", "aa", "aaaa", "he", "ll", "hell", "hello"].map((piece, rank) => ({
        piece,
        score: -rank,
      })),
    ]);
    const text = unit.repeat(1_000_000 / unit.length);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });
});
