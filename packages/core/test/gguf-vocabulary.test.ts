// Vocabularies of GGUF files that are odd in one thing, read as llama.cpp reads them. The ids of Llama 2's vocabulary
// are llama.cpp's own (node-llama-cpp 3.22.1, the same vocabularies).

import { readFileSync } from "node:fs";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { describe, expect, test } from "vitest";
import { encodePrompt, readSentencePiece, type Tokenizer, textSetupFromGguf, tokenizerFromGguf } from "../src/index.ts";

const pieces = ["▁", "a", "b", "▁a", "▁b", "ab", "▁ab"].map((piece, rank) => ({ piece, score: rank }));

interface Read {
  readonly tokenizer: Tokenizer;
  readonly notices: readonly string[];
  readonly ends: readonly number[];
}

function read(metadata: ReadonlyMap<string, unknown>): Read {
  const notices: string[] = [];
  const tokenizer = tokenizerFromGguf(metadata, "odd", (remark) => notices.push(remark));
  const ends = textSetupFromGguf(metadata, tokenizer, (remark) => notices.push(remark)).ends.map(({ id }) => id);
  return { tokenizer, notices, ends };
}

/** The small vocabulary with other keys, and with more tokens of a kind. */
function odd(
  changes: Readonly<Record<string, unknown>> = {},
  more: readonly (readonly [piece: string, type: number])[] = [],
): Read {
  const metadata = tinyMetadata([...pieces, ...more.map(([piece]) => ({ piece, score: 0 }))]);
  const types = metadata.get("tokenizer.ggml.token_type") as Int32Array;
  types.set(
    more.map(([, type]) => type),
    types.length - more.length,
  );
  for (const [key, value] of Object.entries(changes)) metadata.set(`tokenizer.ggml.${key}`, value);
  return read(metadata);
}

const tokens = tinyMetadata(pieces).get("tokenizer.ggml.tokens") as string[];
const types = Array.from(tinyMetadata(pieces).get("tokenizer.ggml.token_type") as Int32Array);
const scores = Array.from(tinyMetadata(pieces).get("tokenizer.ggml.scores") as Float32Array);
const id = (piece: string): number => tokens.indexOf(piece);
const next = tokens.length;

describe("an odd vocabulary", () => {
  const plain = odd().tokenizer.encode("ab\nü");

  test("bytes that are marked as text are bytes", () => {
    const { tokenizer, notices } = odd({ token_type: types.map((type) => (type === 6 ? 1 : type)) });
    expect(tokenizer.encode("ab\nü")).toEqual(plain);
    expect(tokenizer.encode("ab\nü")).toContain(id("<0x0A>"));
    expect(tokenizer.decode(plain)).toBe("ab\nü");
    expect(notices).toEqual([expect.stringContaining("256 pieces spell bytes")]);
  });

  test("a single byte among marked ones is a byte too, and no text becomes it otherwise", () => {
    const { tokenizer, notices } = odd({ token_type: types.map((type, at) => (at === id("<0x0A>") ? 1 : type)) });
    expect(tokenizer.encode("ab\nü")).toEqual(plain);
    expect(notices).toEqual([expect.stringContaining("1 piece spells a byte")]);
  });

  test("a piece that spells a byte beside the marked one stays text", () => {
    const { tokenizer } = odd({}, [["<0x0a>", 1]]);
    expect(tokenizer.encode("ab\nü")).toEqual(plain);
    expect(tokenizer.decode([id("▁a"), next])).toBe("a<0x0a>");
  });

  test.each([
    ["empty", ""],
    ["a NUL", "\0"],
    ["NUL and more", "\0a"],
  ])("a piece that is %s has llama.cpp's name", (_, piece) => {
    const { tokenizer, notices } = odd({}, [[piece, 1]]);
    expect(tokenizer.piece(next)).toBe(`[EMPTY_${next}]`);
    expect(tokenizer.decode([id("▁a"), next])).toBe(`a[EMPTY_${next}]`);
    expect(tokenizer.encode("\0", { bos: false })).toEqual([id("▁"), id("<0x00>")]);
    expect(notices).toHaveLength(1);
  });

  test("of equal pieces text becomes the first, and all are shown", () => {
    const { tokenizer, notices } = odd({}, [
      ["ab", 1],
      ["▁a", 4],
      ["ab", 3],
    ]);
    expect(tokenizer.encode("ab\nü")).toEqual(plain);
    expect(tokenizer.id("ab")).toBe(id("ab"));
    expect(tokenizer.decode([id("▁a"), next, next + 1])).toBe("aab a");
    expect(notices).toEqual([`the pieces ${id("ab")} and ${next} are both "ab"; text becomes the first`]);
  });

  test("without scores pieces merge from left to right", () => {
    const { tokenizer, notices } = odd({ scores: undefined });
    expect(tokenizer.encode("ab", { bos: false })).toEqual([id("▁ab")]);
    expect(tokenizer.encode("aab", { bos: false })).toEqual([id("▁a"), id("ab")]);
    expect(notices).toEqual([expect.stringContaining("scores is missing")]);
  });

  test("scores are numbers of any kind, and may be more than tokens", () => {
    for (const list of [scores, Int32Array.from(scores), Float64Array.from(scores), [...scores, 7, 8]]) {
      const { tokenizer, notices } = odd({ scores: list });
      expect(tokenizer.encode("ab\nü")).toEqual(plain);
      expect(notices).toEqual([]);
    }
  });

  test("without kinds bytes, unknown, BOS and EOS are known all the same", () => {
    const { tokenizer, notices, ends } = odd({ token_type: undefined });
    expect(tokenizer.encode("ab\nü")).toEqual(plain);
    expect(tokenizer.decode([1, ...plain, 2])).toBe("ab\nü");
    expect(ends).toEqual([2]);
    expect(notices).toEqual([expect.stringContaining("token_type is missing")]);
  });

  test("kinds that there are not, and bytes that spell none, are text", () => {
    const { tokenizer, notices } = odd({}, [
      ["x", 0],
      ["y", 9],
      ["z", 6],
    ]);
    expect(tokenizer.encode("xyz", { bos: false })).toEqual([id("▁"), next, next + 1, next + 2]);
    expect(notices).toEqual([expect.stringContaining("3 pieces have a kind that there is not")]);
  });

  test("text that needs a missing byte is refused, other text is not", () => {
    const without = tokens.map((piece) => (piece === "<0x0A>" ? "gone" : piece));
    const { tokenizer } = odd({
      tokens: without,
      token_type: types.map((type, at) => (at === id("<0x0A>") ? 1 : type)),
    });
    expect(tokenizer.encode("ab ü")).toEqual(odd().tokenizer.encode("ab ü"));
    expect(() => tokenizer.encode("a\n")).toThrow(expect.objectContaining({ code: "ERR_TOKENIZER" }));
    expect(() => tokenizer.encode("a\n")).toThrow(/byte 10/);
  });

  test("ids that are no tokens are the usual ones", () => {
    const { tokenizer, notices, ends } = odd({ bos_token_id: 99_999, eos_token_id: next, eot_token_id: 99_999 });
    expect(tokenizer).toMatchObject({ bos: 1, eos: 2, addBos: true });
    expect(ends).toEqual([2]);
    expect(notices).toHaveLength(3);
  });

  test("BOS is put as the file says, and EOS", () => {
    const say = (changes: Readonly<Record<string, unknown>>): number[] => odd(changes).tokenizer.encode("ab");
    expect(say({})).toEqual([1, id("▁ab")]);
    expect(say({ add_bos_token: true })).toEqual([1, id("▁ab")]);
    expect(say({ add_bos_token: false })).toEqual([id("▁ab")]);
    expect(say({ add_bos_token: false, add_eos_token: true })).toEqual([id("▁ab"), 2]);
    expect(say({ add_eos_token: true })).toEqual([1, id("▁ab"), 2]);
    expect(say({ add_space_prefix: false })).toEqual([1, id("ab")]);
    expect(say({ bos_token_id: 0xffffffff, add_bos_token: true })).toEqual([id("▁ab")]);
  });
});

test("a prompt is encoded as the file says, and an empty one is BOS alone", () => {
  const prompt = (text: string, changes: Readonly<Record<string, unknown>>) =>
    encodePrompt(odd(changes).tokenizer, text);
  expect(prompt("ab", {})).toEqual([1, id("▁ab")]);
  expect(prompt("ab", { add_bos_token: false })).toEqual([id("▁ab")]);
  expect(prompt("", { add_bos_token: false, add_eos_token: true })).toEqual([1]);
  expect(prompt("", { bos_token_id: 0xffffffff })).toEqual([]);
});

describe("tokens that are cut out", () => {
  const added = [
    ["<|s|>", 4],
    ["<|e|>", 3],
  ] as const;

  test("user-defined tokens always, and text behind them begins with a space", () => {
    const { tokenizer } = odd({}, added);
    expect(tokenizer.encode("<|s|>ab", { bos: false })).toEqual([next, id("▁ab")]);
    expect(tokenizer.encode("a<|s|>b<|s|>", { bos: false })).toEqual([id("▁a"), next, id("▁b"), next]);
    expect(tokenizer.encode("<|s|>ab", { bos: false })).toEqual(
      tokenizer.encode("<|s|>ab", { bos: false, special: true }),
    );
  });

  test("control tokens and the unknown one where they are asked for", () => {
    const { tokenizer } = odd({}, added);
    const special = (text: string): number[] => tokenizer.encode(text, { bos: false, special: true });
    expect(special("a<|e|>b</s><unk>")).toEqual([id("▁a"), next + 1, id("▁b"), 2, 0]);
    expect(tokenizer.encode("a<|e|>", { bos: false })).not.toContain(next + 1);
    expect(tokenizer.encode("a</s>", { bos: false })).not.toContain(2);
  });

  test("no space is put where the vocabulary has none", () => {
    const { tokenizer } = odd({ add_space_prefix: false }, added);
    expect(tokenizer.encode("<|s|>ab", { bos: false })).toEqual([next, id("ab")]);
  });

  test("where names overlap the longest goes first, wherever it stands", () => {
    const { tokenizer } = odd({}, [
      ["xy", 4],
      ["yzw", 4],
    ]);
    const [y, z] = [..."xz"].map((letter) => id(`<0x${letter.charCodeAt(0).toString(16).toUpperCase()}>`));
    expect(tokenizer.encode("xyzw", { bos: false })).toEqual([id("▁"), y, next + 1]);
    expect(tokenizer.encode("xyz", { bos: false })).toEqual([next, id("▁"), z]);
  });

  test("a token that ends texts by its name is control, whatever its kind", () => {
    const { tokenizer, ends } = odd({}, [
      ["<|im_end|>", 4],
      ["<|eot_id|>", 1],
      ["<|im_start|>", 4],
      ["[PAD]", 4],
    ]);
    expect(ends).toEqual([2, next, next + 1, next + 3]);
    expect([next, next + 1, next + 2, next + 3].map(tokenizer.isControl)).toEqual([true, true, false, true]);
    expect(tokenizer.encode("<|im_end|>", { bos: false })).not.toContain(next);
    expect(tokenizer.decode([id("▁a"), next])).toBe("a");
  });

  test("<|end|> ends no text where answers have several messages", () => {
    expect(odd({}, [["<|end|>", 3]]).ends).toEqual([2, next]);
    const names = ["<|end|>", "<|return|>", "<|call|>"].map((name) => [name, 3] as const);
    expect(odd({}, names).ends).toEqual([2, next + 1, next + 2]);
  });

  test("keys name ends too, and say so", () => {
    const metadata = tinyMetadata(pieces);
    metadata.set("tokenizer.ggml.eot_token_id", 5).set("tokenizer.ggml.eom_token_id", 4);
    const tokenizer = tokenizerFromGguf(metadata, "odd");
    expect(textSetupFromGguf(metadata, tokenizer).ends).toEqual([
      { id: 2, from: ["tokenizer.ggml.eos_token_id"] },
      { id: 4, from: ["tokenizer.ggml.eom_token_id"] },
      { id: 5, from: ["tokenizer.ggml.eot_token_id"] },
    ]);
  });
});

describeWithShared("Llama 2's vocabulary in GGUF", () => {
  const llama2 = (
    more: readonly (readonly [string, number])[] = [],
    type = (kind: number): number => kind,
  ): Tokenizer => {
    const path = shared("tokenizers/llama2.model");
    const { pieces, scores, kinds } = readSentencePiece(readFileSync(path), path);
    const metadata = new Map<string, unknown>([
      ["tokenizer.ggml.model", "llama"],
      ["tokenizer.ggml.tokens", [...pieces, ...more.map(([piece]) => piece)]],
      ["tokenizer.ggml.scores", [...scores, ...more.map(() => 0)]],
      ["tokenizer.ggml.token_type", [...kinds.map(type), ...more.map(([, kind]) => kind)]],
    ]);
    return tokenizerFromGguf(metadata, "llama 2");
  };

  test("user-defined tokens as in llama.cpp", () => {
    const tokenizer = llama2([
      ["<|im_start|>", 4],
      ["<|im_end|>", 4],
    ]);
    const ids = (text: string, special: boolean): number[] => tokenizer.encode(text, { bos: false, special });
    expect(ids("<|im_start|>user", false)).toEqual([32000, 1404]);
    expect(ids("a <|im_start|> b", false)).toEqual([263, 29871, 32000, 29871, 289]);
    expect(ids("<|im_end|>x", false)).toEqual([529, 29989, 326, 29918, 355, 29989, 29958, 29916]);
    expect(ids("<|im_end|>x", true)).toEqual([32001, 921]);
  });

  test("bytes that are marked as text, as in llama.cpp", () => {
    const tokenizer = llama2([], (kind) => (kind === 6 ? 1 : kind));
    expect(tokenizer.encode("a\nb", { bos: false })).toEqual([263, 13, 29890]);
    expect(tokenizer.encode("é😀", { bos: false })).toEqual([904, 243, 162, 155, 131]);
  });
});
