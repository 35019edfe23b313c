// Tokens that are cut out of a text before it is normalized and merged, each by its name, and where the text between
// them gets the space that SentencePiece puts in front. SentencePiece itself does that for nothing but control tokens;
// what stands around a vocabulary does it for its user-defined pieces too, in one of three ways:
//   llama.cpp (GGUF): the longest name first, wherever it stands; each stretch gets a space in front
//   transformers, `legacy` true or missing: from left to right; each stretch gets a space in front
//   transformers, `legacy` false: from left to right; only a text that begins with a stretch gets one
// Source: llama.cpp, src/llama-vocab.cpp (tokenizer_st_partition, tokenize); transformers 4.57,
// models/llama/tokenization_llama.py and tokenization_utils.py (tokenize), whose newer tokenizers cut alike.

import { type AddedToken, addedTokenFinder } from "./json/added-tokens.ts";
import { type Places, placesWithin } from "./literal.ts";
import { cutAtNames, nameMatcher, type Section } from "./match.ts";

export interface Cutting {
  /** Tokens that are cut out; those that are `special` only where control tokens are asked for. */
  readonly tokens: readonly AddedToken[];
  /** Which goes first where names overlap. */
  readonly order: "longest" | "leftmost";
  /** Which stretches get the space in front, of a vocabulary that puts one. */
  readonly prefix: "every" | "first" | "none";
}

/** A stretch of text, or a token that stood in it. */
export interface Stretch {
  readonly text: string;
  readonly id: number | undefined;
  /** Where it begins. */
  readonly start: number;
  /** Whether the space is put in front. */
  readonly prefixed: boolean;
}

/** A function that cuts a text; `special`: at control tokens too. What is cut out spans none of the places. */
export function cutter({
  tokens,
  order,
  prefix,
}: Cutting): (text: string, special: boolean, places: Places) => readonly Stretch[] {
  const ways = [tokens.filter((token) => !token.special), tokens].map((some) => {
    const { raw } = addedTokenFinder(some, (text) => text);
    const longestFirst = [...some].sort((a, b) => b.content.length - a.content.length || a.id - b.id);
    const names = nameMatcher(some.map(({ content, id }) => [content, id]));
    return (text: string, places: Places): readonly Section[] => {
      if (order === "leftmost") return raw(text, places);
      const isPlain = cutAtNames(text, names).every(({ id }) => id === undefined);
      return isPlain ? [{ text, id: undefined, start: 0 }] : longest(text, longestFirst, places);
    };
  });
  return (text, special, places) => {
    const found = ways[special ? 1 : 0]!(text, places); // both are there, by the lines above
    return found.map((stretch, index) => ({
      ...stretch,
      prefixed: prefix === "every" || (prefix === "first" && index === 0),
    }));
  };
}

/** Cuts at all places of one token, then what is left at those of the next. */
function longest(text: string, tokens: readonly AddedToken[], places: Places): readonly Section[] {
  let parts: readonly Section[] = [{ text, id: undefined, start: 0 }];
  for (const token of tokens) {
    if (token.content === "" || !text.includes(token.content)) continue;
    parts = parts.flatMap((part) => (part.id === undefined ? cutAt(part, token, places) : [part]));
  }
  return parts;
}

function cutAt({ text, start }: Section, { content, id }: AddedToken, places: Places): Section[] {
  const result: Section[] = [];
  let done = 0;
  const putText = (end: number): void => {
    if (done < end) result.push({ text: text.slice(done, end), id: undefined, start: start + done });
  };
  for (let at = text.indexOf(content); at >= 0; ) {
    const end = at + content.length;
    const isLiteral = placesWithin(places, start + at, start + end).length > 0;
    if (!isLiteral) {
      putText(at);
      result.push({ text: content, id, start: start + at });
      done = end;
    }
    at = text.indexOf(content, isLiteral ? at + 1 : end);
  }
  putText(text.length);
  return result;
}

/** A token that is cut out where exactly its name stands. */
export function plainToken(id: number, content: string, special: boolean): AddedToken {
  return { id, content, special, normalized: false, lstrip: false, rstrip: false, singleWord: false };
}
