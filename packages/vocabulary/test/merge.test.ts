import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readSentencePiece, tokenizerFromSentencePiece } from "@polyllama/core";
import { fixture } from "@polyllama/test-support/fixtures";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeVocabularies } from "../src/index.ts";
import { messageWriter } from "../src/message-writer.ts";

const modelFile = (name: string): Buffer => readFileSync(fixture(`${name}.model`));

/** A Unigram model with these pieces; of such a model only the pieces count. */
function extraModel(pieces: readonly (readonly [string, number?])[]): Uint8Array {
  const model = messageWriter();
  for (const [piece, type] of pieces) {
    const entry = messageWriter();
    entry.text(1, piece);
    entry.float(2, -3.5);
    if (type !== undefined) entry.number(3, type);
    model.bytes(1, entry.finish());
  }
  model.bytes(2, new Uint8Array(0)); // model type 1, by default
  model.bytes(3, new Uint8Array(0));
  return model.finish();
}

describe("merging vocabularies", () => {
  test("appends what is missing, with score 0 and its kind, and changes nothing else", () => {
    const base = modelFile("unused");
    const before = readSentencePiece(base, "base");
    const extra = extraModel([
      ["<unk>", 2],
      ["<s>", 3],
      [before.pieces[5]!],
      ["星汉"],
      ["<pad>", 3],
      ["▁哈", 4],
      ["星汉"],
    ]);
    const { model, vocabSize, added } = mergeVocabularies(base, extra, "base", "extra");
    const after = readSentencePiece(model, "merged");
    const known = new Set(before.pieces);
    expect(added).toEqual(["<s>", "星汉", "<pad>", "▁哈"].filter((piece) => !known.has(piece)));
    expect(after.pieces).toEqual([...before.pieces, ...added]);
    expect(vocabSize).toBe(after.pieces.length);
    expect(after.kinds.slice(0, before.kinds.length)).toEqual(before.kinds);
    expect(after.kinds.slice(-3)).toEqual([1, 3, 4]);
    expect([...after.scores.slice(before.scores.length)]).toEqual(added.map(() => 0));
    expect(after.normalizer).toEqual(before.normalizer);
    expect(tokenizerFromSentencePiece(model, "merged").encode("星汉", { bos: false })).toContain(vocabSize - 3);
  });

  test("twice changes nothing, whatever the pieces; old ids stay", () => {
    const base = modelFile("unused");
    const old = readSentencePiece(base, "base").pieces;
    const piece = fc.string({ unit: "binary", minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const extra = extraModel(pieces.map((text) => [text.replace(/\p{Surrogate}/gu, "x")]));
        const once = mergeVocabularies(base, extra, "base", "extra");
        const twice = mergeVocabularies(once.model, extra, "once", "extra");
        expect(twice.added).toEqual([]);
        expect(Buffer.from(twice.model).equals(once.model)).toBe(true);
        expect(readSentencePiece(once.model, "once").pieces.slice(0, old.length)).toEqual(old);
      }),
      { numRuns: 20 },
    );
  });

  test("is refused where the base has no place for bytes, is no BPE, or a file is damaged", () => {
    const attempts: readonly [Uint8Array, Uint8Array, RegExp][] = [
      [modelFile("rules"), extraModel([["<0x00>", 6]]), /^extra: "<0x00>" is a byte/],
      [extraModel([["<unk>", 2]]), modelFile("unused"), /^base: the model type is unigram/],
      [modelFile("unused"), modelFile("unused").subarray(0, 100), /^extra: /],
    ];
    for (const [base, extra, message] of attempts) {
      expect(() => mergeVocabularies(base, extra, "base", "extra")).toThrow(message);
    }
  });
});

describeWithShared("Chinese-LLaMA's vocabulary", () => {
  test("is Llama's with 17,953 Chinese pieces behind it, byte for byte", () => {
    const read = (name: string): Buffer => readFileSync(shared(`tokenizers/${name}.model`));
    const merged = mergeVocabularies(read("llama2"), read("chinese-sp-20000"), "llama2", "chinese");
    expect(merged.vocabSize).toBe(49_953);
    expect(merged.added).toHaveLength(17_953);
    expect(createHash("sha256").update(merged.model).digest("hex")).toBe(
      "e2676d4ca29ca1750f6ff203328d73b189321dc5776ceede037cbd36541d70c0",
    );
    expect(mergeVocabularies(merged.model, read("chinese-sp-20000"), "merged", "chinese").added).toEqual([]);
  });
});
