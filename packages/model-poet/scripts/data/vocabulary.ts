// The poet's own vocabulary: trained on its training documents with the settings of Llama 2's, both languages with the
// same number of characters.

import { type Tokenizer, tokenizerFromSentencePiece } from "@polyllama/core";
import { trainVocabulary } from "@polyllama/vocabulary";
import type { CleanSource } from "./clean.ts";
import type { SourceName } from "./document.ts";

export interface PoetVocabulary {
  readonly model: Uint8Array;
  readonly tokenizer: Tokenizer;
}

/** @param coverage Share of the characters of the text that have a piece; the others are written as bytes. */
export async function trainPoetVocabulary(
  sources: ReadonlyMap<SourceName, CleanSource>,
  vocabSize: number,
  coverage: number,
): Promise<PoetVocabulary> {
  const maxLineBytes = 1 << 20;
  const { model } = await trainVocabulary(lines(sources), { vocabSize, characterCoverage: coverage, maxLineBytes });
  return { model, tokenizer: tokenizerFromSentencePiece(model, "tokenizer.model") };
}

/**
 * A document is one line: a space is put in front of a text, not of each of its lines. The trainer passes over tabs, and
 * no piece goes beyond one.
 */
function* lines(sources: ReadonlyMap<SourceName, CleanSource>): Generator<string> {
  for (const { training } of sources.values()) {
    for (const { text } of training) yield text.replaceAll("\n", "\t");
  }
}
