// Pieces at the end of a vocabulary that only fill up a table are left out, and no others.

import { expect, test } from "vitest";
import { paddingPiece, withoutPadding } from "../src/index.ts";

const [normal, unused] = [1, 5]; // SentencePiece's numbers of types
const keys = ["tokens", "scores", "token_type"].map((key) => `tokenizer.ggml.${key}`);

function vocabulary(...pieces: readonly (readonly [piece: string, type: number])[]): ReadonlyMap<string, unknown> {
  const lists = [pieces.map(([piece]) => piece), pieces.map((_, id) => -id), pieces.map(([, type]) => type)];
  return new Map<string, unknown>([["general.name", "a name"], ...keys.map((key, i) => [key, lists[i]] as const)]);
}

test("unused pieces that are named after their ids are left out of every list", () => {
  const padded = vocabulary(["a", normal], ["b", normal], [paddingPiece(2), unused], [paddingPiece(3), unused]);
  expect(withoutPadding(padded)).toEqual(vocabulary(["a", normal], ["b", normal]));
});

test("unused pieces of other names, of other ids, of other types or before others stay", () => {
  for (const kept of [
    vocabulary(["a", normal], ["<extra>", unused]),
    vocabulary(["a", normal], [paddingPiece(2), unused]),
    vocabulary(["a", normal], [paddingPiece(1), normal]),
    vocabulary([paddingPiece(0), unused], ["a", normal]),
  ]) {
    expect(withoutPadding(kept)).toEqual(kept);
  }
});
