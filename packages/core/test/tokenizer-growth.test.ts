// A tokenizer.json that asks for more than any text needs is refused by the component that asks, before the text is
// made.

import { describe, expect, test } from "vitest";
import { PolyllamaError, type Tokenizer, tokenizerFromJson } from "../src/index.ts";

const vocab = { "<unk>": 0, a: 1, b: 2, "▁": 3 };
const model = { type: "BPE", vocab, merges: [], unk_token: "<unk>", fuse_unk: true };

function load(parts: object): Tokenizer {
  return tokenizerFromJson({ model, added_tokens: [], ...parts }, "tokenizer.json");
}

/** The longest string that `repeat` or `replaceAll` makes while an action runs. */
function longestText(action: () => unknown): number {
  const { replaceAll } = String.prototype;
  let longest = 0;
  String.prototype.replaceAll = function (this: string, ...given: unknown[]) {
    const made = (replaceAll as (...args: unknown[]) => string).apply(this, given);
    longest = Math.max(longest, made.length);
    return made;
  } as typeof replaceAll;
  try {
    action();
  } finally {
    String.prototype.replaceAll = replaceAll;
  }
  return longest;
}

function refused(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(PolyllamaError);
    expect(error).toMatchObject({ code: "ERR_TOKENIZER" });
    return String(error);
  }
  return expect.fail("this should have been refused");
}

const replace = (from: string, content: string) => ({ type: "Replace", pattern: { String: from }, content });
const doubling = Array.from({ length: 32 }, () => replace("a", "aa"));

describe("normalizers", () => {
  const normalizer = { type: "Sequence", normalizers: doubling };

  test("32 steps that double", () => {
    const tokenizer = load({ normalizer });
    let message = "";
    const longest = longestText(() => {
      message = refused(() => tokenizer.encode("a", { bos: false }));
    });
    expect(message).toMatch(
      /tokenizer\.json\.normalizer\.normalizers\[\d+\] makes a text of \d+ characters, where at most 1056/,
    );
    expect(longest).toBeLessThanOrEqual(1056);
    expect(tokenizer.encode("b", { bos: false })).toEqual([2]); // what does not grow is not touched
  });

  test("in sequences within sequences", () => {
    const nested = doubling.reduce(
      (within: object, step) => ({ type: "Sequence", normalizers: [step, within] }),
      doubling[0]!,
    );
    const deep = refused(() => load({ normalizer: nested }));
    expect(deep).toMatch(/nested too deeply/);
    const two = { type: "Sequence", normalizers: [normalizer, normalizer] };
    expect(refused(() => load({ normalizer: two }).encode("a"))).toMatch(
      /normalizers\[0\]\.normalizers\[\d+\] makes a text/,
    );
  });

  test.each<[string, object, RegExp]>([
    [
      "Prepend of megabytes",
      { type: "Prepend", prepend: "a".repeat(1e6) },
      /normalizer writes a text of 1000000 characters \(prepend\); at most 256/,
    ],
    [
      "Replace by megabytes",
      replace("b", "a".repeat(1e6)),
      /normalizer writes a text of 1000000 characters \(content\)/,
    ],
    [
      "a thousand steps",
      { type: "Sequence", normalizers: Array.from({ length: 1000 }, () => ({ type: "NFC" })) },
      /normalizer has more than 256 steps/,
    ],
    [
      "a thousand steps in groups",
      {
        type: "Sequence",
        normalizers: Array.from({ length: 10 }, () => ({
          type: "Sequence",
          normalizers: Array.from({ length: 100 }, () => ({ type: "NFC" })),
        })),
      },
      /has more than 256 steps/,
    ],
  ])("%s", (_, component, message) => {
    expect(refused(() => load({ normalizer: component }))).toMatch(message);
  });

  test("the most that Unicode itself makes of a text is possible", () => {
    const text = "\ufdfa".repeat(5000);
    expect(text.normalize("NFKD").length).toBe(18 * 5000);
    expect(load({ normalizer: { type: "NFKD" } }).encode(text, { bos: false })).toEqual([0]);
  });

  test("a long text may become four times as long", () => {
    expect(load({ normalizer: replace("b", "aaaa") }).encode("b".repeat(1e5)).length).toBe(4e5);
  });
});

describe("decoders", () => {
  const decoder = { type: "Sequence", decoders: [...doubling, { type: "Fuse" }] };

  test("32 steps that double", () => {
    const tokenizer = load({ decoder });
    let message = "";
    const longest = longestText(() => {
      message = refused(() => tokenizer.decode([1]));
    });
    expect(message).toMatch(
      /tokenizer\.json\.decoder\.decoders\[\d+\] makes a text of \d+ characters, where at most 1056/,
    );
    expect(longest).toBeLessThanOrEqual(1056);
    expect(tokenizer.decode([2, 2])).toBe("bb");
    const { push } = tokenizer.decoder();
    expect(push(2)).toBe("b");
    expect(refused(() => push(1))).toMatch(/makes a text/);
  });

  test.each<[string, object, RegExp]>([
    ["Replace by megabytes", replace("b", "a".repeat(1e6)), /decoder writes a text of 1000000 characters/],
    [
      "a thousand steps",
      { type: "Sequence", decoders: Array.from({ length: 1000 }, () => ({ type: "ByteFallback" })) },
      /decoder has more than 256 steps/,
    ],
    [
      "Strip of a million",
      { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "Strip", content: " ", start: 0, stop: 1e6 }] },
      /decoders\[1\] strips 1000000 characters; at most 256/,
    ],
  ])("%s", (_, component, message) => {
    expect(refused(() => load({ decoder: component }))).toMatch(message);
  });
});

describe("pre-tokenizers", () => {
  const metaspace = (replacement: string) => ({
    type: "Metaspace",
    replacement,
    prepend_scheme: "always",
    split: true,
  });

  test("steps that put characters in front of each other's words", () => {
    const pre_tokenizer = {
      type: "Sequence",
      pretokenizers: Array.from({ length: 100 }, (_, i) => metaspace(i % 2 === 0 ? "x" : "y")),
    };
    expect(refused(() => load({ pre_tokenizer }).encode("a b a b"))).toMatch(
      /pre_tokenizer makes a text of \d+ characters/,
    );
  });

  test("a thousand steps", () => {
    const pre_tokenizer = { type: "Sequence", pretokenizers: Array.from({ length: 1000 }, () => metaspace("x")) };
    expect(refused(() => load({ pre_tokenizer }))).toMatch(/pre_tokenizer has more than 256 steps/);
  });
});

describe("added tokens", () => {
  const tokens = (count: number, name = (i: number) => `<${i}>`) =>
    Array.from({ length: count }, (_, i) => ({ id: i + 4, content: name(i), special: false, normalized: true }));

  test("too many", () => {
    expect(refused(() => load({ added_tokens: tokens(2 ** 16 + 1) }))).toMatch(/has 65537 added tokens; at most 65536/);
    expect(load({ added_tokens: tokens(5000) }).encode("<4999>a", { bos: false })).toEqual([5003, 1]);
  });

  test("too many in the files around", () => {
    const many = tokens(2 ** 16 + 1).map(({ id, content }) => [content, id] as const);
    const read =
      ({ tokenizerConfig, ...beside }: { readonly tokenizerConfig?: object; readonly addedTokens?: object }) =>
      () =>
        tokenizerFromJson({ model, added_tokens: [] }, "tokenizer.json", tokenizerConfig, beside);
    expect(refused(read({ addedTokens: Object.fromEntries(many) }))).toMatch(
      /added_tokens\.json has 65537 added tokens/,
    );
    const additional = many.map(([content]) => ({ content }));
    const config = { additional_special_tokens: additional };
    expect(refused(read({ tokenizerConfig: config }))).toMatch(/tokenizer_config\.json has 65537 added tokens/);
    const decoder = Object.fromEntries(many.map(([content, id]) => [id, { content }]));
    expect(refused(read({ tokenizerConfig: { added_tokens_decoder: decoder } }))).toMatch(
      /added_tokens_decoder has 65537/,
    );
  });

  test("names that the normalizer makes long", () => {
    const normalizer = { type: "Prepend", prepend: "a".repeat(256) };
    expect(refused(() => load({ normalizer, added_tokens: tokens(1000) }))).toMatch(
      /names of added tokens many times as long/,
    );
    expect(load({ normalizer: { type: "Prepend", prepend: "▁" }, added_tokens: tokens(5000) }).vocabSize).toBe(5004);
  });
});
