// The space that Llama 2's format puts before an answer, and what is not it.

import { expect, test } from "vitest";
import type { Piece } from "../src/generation/generate.ts";
import { withoutFormatSpace } from "../src/stream.ts";

async function without(...texts: readonly string[]): Promise<readonly string[]> {
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for (const [id, text] of texts.entries()) yield { id, text };
  }
  const given: string[] = [];
  for await (const { text } of withoutFormatSpace(pieces())) given.push(text);
  return given;
}

test.each([
  [
    [" a", " b"],
    ["a", " b"],
  ],
  [["  a"], [" a"]],
  [
    [" ", " a"],
    ["", " a"],
  ],
  [
    ["", " a", " b"],
    ["", "a", " b"],
  ],
  [
    ["\n", " a"],
    ["\n", " a"],
  ],
  [[" \n a"], ["\n a"]],
  [["\u3000a"], ["\u3000a"]],
  [
    ["a", " b"],
    ["a", " b"],
  ],
  [[], []],
])("of %j one space at the beginning is left out, and nothing else", async (texts, expected) => {
  expect(await without(...texts)).toEqual(expected);
});
