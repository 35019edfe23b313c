// Tokens that are cut out of a text before it is normalized and merged, each by its name, and where the text between them gets
// the space that SentencePiece puts in front. SentencePiece itself does that for nothing but control tokens; what stands around
// a vocabulary does it for its user-defined pieces too, in one of three ways:
//   llama.cpp (GGUF): the longest name first, wherever it stands; each stretch gets a space in front
//   transformers, `legacy` true or missing: from left to right; each stretch gets a space in front
//   transformers, `legacy` false: from left to right; only a text that begins with a stretch gets one
// Source: llama.cpp, src/llama-vocab.cpp (tokenizer_st_partition, tokenize); transformers 4.57,
// models/llama/tokenization_llama.py and tokenization_utils.py (tokenize), whose newer tokenizers cut alike.

import { type AddedToken, addedTokenFinder } from "./json/added-tokens.ts";
import { matcher, sections } from "./match.ts";

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
  /** Whether the space is put in front. */
  readonly prefixed: boolean;
}

/** A function that cuts a text; `special`: at control tokens too. */
export function cutter({ tokens, order, prefix }: Cutting): (text: string, special: boolean) => readonly Stretch[] {
  const ways = [tokens.filter((token) => !token.special), tokens].map((some) => {
    const { raw } = addedTokenFinder(some, (text) => text);
    const longestFirst = [...some].sort((a, b) => b.content.length - a.content.length || a.id - b.id);
    const names = matcher(some.map(({ content, id }) => [content, id]));
    return (text: string): readonly { readonly text: string; readonly id: number | undefined }[] => {
      if (order === "leftmost") return raw(text);
      const isPlain = sections(text, names).every(({ id }) => id === undefined);
      return isPlain ? [{ text, id: undefined }] : longest(text, longestFirst);
    };
  });
  return (text, special) => {
    const found = ways[special ? 1 : 0]!(text); // both are there, by the lines above
    return found.map((stretch, index) => ({
      ...stretch,
      prefixed: prefix === "every" || (prefix === "first" && index === 0),
    }));
  };
}

/** Cuts at all places of one token, then what is left at those of the next. */
function longest(text: string, tokens: readonly AddedToken[]) {
  let parts: { readonly text: string; readonly id: number | undefined }[] = [{ text, id: undefined }];
  for (const { content, id } of tokens) {
    if (content === "" || !text.includes(content)) continue;
    parts = parts.flatMap((part) => {
      if (part.id !== undefined) return [part];
      return part.text
        .split(content)
        .flatMap((stretch, index) => [
          ...(index === 0 ? [] : [{ text: content, id }]),
          ...(stretch === "" ? [] : [{ text: stretch, id: undefined }]),
        ]);
    });
  }
  return parts;
}

/** A token that is cut out where exactly its name stands. */
export function plainToken(id: number, content: string, special: boolean): AddedToken {
  return { id, content, special, normalized: false, lstrip: false, rstrip: false, singleWord: false };
}
