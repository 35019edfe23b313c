import type { Tokenizer } from "@polyllama/core";
import { presets } from "@polyllama/core";
import { describe, expect, test } from "vitest";
import { checkVocabulary } from "../src/vocabulary.ts";
import { small } from "./support.ts";

const check = (rows: number, tokens: number): void => {
  const tokenizer = { vocabSize: tokens } as Tokenizer; // nothing else is looked at
  checkVocabulary({ name: "model", config: { ...small, vocabSize: rows }, tokenizer });
};

describe("a tokenizer that does not fit the table", () => {
  test("is refused with the names of the pairs that both belong to", () => {
    const { vocabSize: rows } = presets["chinese-alpaca-2-7b"];
    const { vocabSize: tokens } = presets["chinese-llama-7b"];
    expect(() => check(rows, tokens)).toThrow(
      "model: the tokenizer has 49953 tokens, but the embedding table 55296 rows. " +
        "Weights of 55296 rows are those of Chinese-LLaMA-2 and Chinese-Alpaca-2. " +
        "A tokenizer of 49953 tokens is that of Chinese-LLaMA. " +
        "Give the tokenizer of Chinese-LLaMA-2 and Chinese-Alpaca-2, with the option `tokenizer`.",
    );
    expect(() => check(49_954, 49_953)).toThrow(/Give the tokenizer of Chinese-Alpaca,/);
    expect(() => check(32_000, 55_296)).toThrow(/Give the tokenizer of Llama 1 and 2,/);
    expect(() => check(17, 16)).toThrow(/rows\. Give the tokenizer that belongs to these weights/);
    expect(() => check(49_953, 49_953)).not.toThrow();
  });
});
