// The vocabulary that the Llama suite speaks: control tokens, one that shows, all bytes, and a few pieces, so that
// random tokens make characters in parts, words and ends of text. Kinds are numbered as SentencePiece does.

import { type Tokenizer, tokenizerFromGguf } from "@polyllama/core";

/** A token as its vocabulary has it. */
export interface VocabularyEntry {
  readonly piece: string;
  readonly kind: "normal" | "unknown" | "control" | "user-defined" | "byte";
}

const kindNumbers = { normal: 1, unknown: 2, control: 3, "user-defined": 4, byte: 6 } as const;

/** Tokens that every vocabulary here begins with. */
export const token = { unknown: 0, bos: 1, eos: 2, firstByte: 3, end: 259, stop: 260, shown: 261 } as const;

const first: readonly VocabularyEntry[] = [
  { piece: "<unk>", kind: "unknown" },
  { piece: "<s>", kind: "control" },
  { piece: "</s>", kind: "control" },
  ...Array.from({ length: 256 }, (_, byte): VocabularyEntry => {
    return { piece: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, kind: "byte" };
  }),
  { piece: "<|end|>", kind: "control" },
  { piece: "<|stop|>", kind: "control" },
  { piece: "<|shown|>", kind: "user-defined" },
];

/** The beginning that all share, and these pieces. */
export function vocabularyOf(pieces: readonly string[]): readonly VocabularyEntry[] {
  return [...first, ...pieces.map((piece): VocabularyEntry => ({ piece, kind: "normal" }))];
}

/** The metadata that make a tokenizer of it: earlier pieces merge before later ones. */
export function tokenizerOf(entries: readonly VocabularyEntry[]): Tokenizer {
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", entries.map(({ piece }) => piece)],
    ["tokenizer.ggml.scores", Float32Array.from(entries, (_, id) => (id < first.length ? 0 : -id))],
    ["tokenizer.ggml.token_type", Int32Array.from(entries, ({ kind }) => kindNumbers[kind])],
    ["tokenizer.ggml.bos_token_id", token.bos],
    ["tokenizer.ggml.eos_token_id", token.eos],
    ["tokenizer.ggml.unknown_token_id", token.unknown],
  ]);
  return tokenizerFromGguf(metadata, "the vocabulary of the Llama suite");
}
