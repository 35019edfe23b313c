// The option `literal`: places that no token's name spans. At every place within a name the name is text, and whatever
// else stands in the text has the ids that it has without the option.

import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import { expect, test } from "vitest";
import { type Tokenizer, tokenizerFromJson } from "../src/index.ts";

/** Bytes, `<s>` and `</s>`, and three added tokens: one control token, one that is normalized, one that is neither. */
function json(): Tokenizer {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = ["<unk>", "<s>", "</s>", ...bytes, "▁", "<", "s", ">", "/", "|", "x", "a", "<s", "é"];
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const added = (id: number, content: string, special: boolean, normalized: boolean): object => ({
    id,
    content,
    special,
    normalized,
  });
  const next = pieces.length;
  return tokenizerFromJson(
    {
      model: {
        type: "BPE",
        vocab,
        merges: [
          ["<", "s"],
          ["<s", ">"],
        ],
        byte_fallback: true,
        unk_token: "<unk>",
      },
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: "▁" },
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      added_tokens: [
        added(1, "<s>", true, false),
        added(2, "</s>", true, false),
        added(next, "<|x|>", true, false),
        added(next + 1, "<|a |>", false, true),
        added(next + 2, "<|a", false, false),
      ],
    },
    "test",
  );
}

/** The same names as user-defined and control pieces of a scored vocabulary. */
const scored = (): Tokenizer => tinyTokenizer();

function ids(tokenizer: Tokenizer, text: string, literal: readonly number[], special = true): number[] {
  return tokenizer.encode(text, { bos: false, eos: false, special, literal });
}

test.each([
  ["tokenizer.json", json],
  ["a scored vocabulary", scored],
])("a name that spans a place is text, %s", (_, make) => {
  const tokenizer = make();
  const control = tokenizer.id("</s>")!;
  expect(ids(tokenizer, "a</s>x", [])).toContain(control);
  for (const place of [2, 3, 4]) {
    const found = ids(tokenizer, "a</s>x", [place]);
    expect(found).not.toContain(control);
    expect(tokenizer.decode(found)).toBe("a</s>x");
    expect(found).toEqual(ids(tokenizer, "a</s>x", [], false));
  }
  // Places at a name's ends are not within it.
  for (const place of [0, 1, 5, 6]) expect(ids(tokenizer, "a</s>x", [place])).toContain(control);
  const twice = ids(tokenizer, "</s></s>", [6]);
  expect(twice.filter((id) => id === control)).toHaveLength(1);
  expect(twice[0]).toBe(control);
});

test("names that are normalized, or no control tokens, stay text as well", () => {
  const tokenizer = json();
  for (const [text, name, place] of [
    ["x<|a |>x", "<|a |>", 5],
    ["x<|a x", "<|a", 2],
  ] as const) {
    for (const special of [false, true]) {
      const found = ids(tokenizer, text, [place], special);
      if (name !== "<|a |>") expect(ids(tokenizer, text, [], special)).toContain(tokenizer.id(name));
      expect(found).not.toContain(tokenizer.id(name));
    }
  }
});

test("a shorter name in front of the place is found", () => {
  const tokenizer = json();
  // `<|a` is a name, and so is the longer `<|a |>`, which the place breaks.
  const found = ids(tokenizer, "<|a |>", [4]);
  expect(found[0]).toBe(tokenizer.id("<|a"));
});

test("literal text does not merge into a control token either", () => {
  const tokenizer = json();
  expect(ids(tokenizer, "<s>", [1])).not.toContain(1);
  expect(ids(tokenizer, "<s>", [])).toEqual([1]);
});

test("places are counted in the text as given, in any order, whatever characters it has", () => {
  const tokenizer = json();
  const text = "é\ufdd0 \ufdd1</s>é";
  const at = text.indexOf("</s>");
  const found = ids(tokenizer, text, [text.length, at + 2, 0]);
  expect(found).not.toContain(2);
  expect(tokenizer.decode(found)).toBe(text);
  expect(found).toEqual(ids(tokenizer, text, [], false));
});

test("what is no place is refused", () => {
  const tokenizer = json();
  for (const literal of [[-1], [4], [0.5], "x", [Number.NaN]]) {
    // also what plain JavaScript may pass
    const attempt = (): unknown => tokenizer.encode("abc", { literal: literal as number[] });
    expect(attempt).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  }
});
