// The pieces of a vocabulary as GGUF lists them, one for every row of the embedding table: those of the source, then
// added tokens, then names for rows that only fill the table up, as llama.cpp's own converter has them.
// Source: llama.cpp, convert_hf_to_gguf.py (set_vocab), gguf-py/gguf/constants.py (TokenType).

import { parseJson, type Tokenizer, type TokenKind } from "@polyllama/core";
import { paddingPiece } from "@polyllama/vocabulary";
import { asObject } from "../json.ts";

export interface PieceKeys {
  readonly tokens: readonly string[];
  /** Larger merges first. */
  readonly scores: readonly number[] | undefined;
  /** Kinds, by GGUF's numbers. */
  readonly types: readonly number[] | undefined;
}

const types: Readonly<Record<TokenKind, number>> = {
  normal: 1,
  unknown: 2,
  control: 3,
  "user-defined": 4,
  unused: 5,
  byte: 6,
};

/** Of tokens that no merging makes. */
const lowest = -1000;

/** The pieces with those that the tokenizer has besides, and one for each row that is left. */
export function completedPieces(
  { tokens, scores, types: kinds }: PieceKeys,
  tokenizer: Tokenizer,
  rows: number,
): PieceKeys {
  const added = range(tokens.length, tokenizer.vocabSize);
  const padding = range(Math.max(tokens.length, tokenizer.vocabSize), rows);
  const more = added.length + padding.length;
  return {
    tokens: [...tokens, ...added.map((id) => tokenizer.piece(id)), ...padding.map(paddingPiece)],
    scores: scores && [...scores, ...Array.from({ length: more }, () => lowest)],
    types: kinds && [...kinds, ...added.map((id) => types[tokenizer.kind(id)]), ...padding.map(() => types.unused)],
  };
}

/**
 * The pieces of a tokenizer that has no scores. They get some in the order of the merges of its tokenizer.json, and
 * without one in the order of their ids: the same tokens where every way to put a piece together is a merge.
 *
 * @param json The text of the tokenizer.json, if that is where it comes from.
 */
export function piecesOfJson(tokenizer: Tokenizer, json: string | undefined): PieceKeys {
  const tokens = range(0, tokenizer.vocabSize).map((id) => tokenizer.piece(id));
  const ranks = json === undefined ? undefined : mergeRanks(json);
  return {
    tokens,
    scores: tokens.map((piece, id) => -(ranks === undefined ? id : (ranks.get(piece) ?? ranks.size))),
    types: tokens.map((piece, id) => types[piece === "<unk>" ? "unknown" : tokenizer.kind(id)]),
  };
}

/** By piece: the number of the first merge that makes it. */
function mergeRanks(json: string): ReadonlyMap<string, number> {
  const merges = asObject(asObject(parseJson(json, "tokenizer.json"))?.["model"])?.["merges"];
  const ranks = new Map<string, number>();
  for (const [rank, merge] of (Array.isArray(merges) ? merges : []).entries()) {
    const pair: readonly unknown[] = Array.isArray(merge)
      ? merge
      : (typeof merge === "string" ? merge : JSON.stringify(merge)).split(" ");
    const piece = pair.join("");
    if (!ranks.has(piece)) ranks.set(piece, rank);
  }
  return ranks;
}

function range(first: number, end: number): readonly number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}
