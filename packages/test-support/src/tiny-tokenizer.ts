// Small vocabularies for tests, written as GGUF metadata: unknown, BOS and EOS, the 256 bytes, and the pieces of a
// test.

import { type Tokenizer, tokenizerFromGguf } from "@polyllama/core";

export interface TinyPiece {
  readonly piece: string;
  readonly score: number;
}

export function tinyMetadata(pieces: readonly TinyPiece[]): Map<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", ["<unk>", "<s>", "</s>", ...bytes, ...pieces.map(({ piece }) => piece)]],
    ["tokenizer.ggml.scores", Float32Array.from([...Array(259).fill(0), ...pieces.map(({ score }) => score)])],
    ["tokenizer.ggml.token_type", Int32Array.from([2, 3, 3, ...bytes.map(() => 6), ...pieces.map(() => 1)])],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", 2],
    ["tokenizer.ggml.unknown_token_id", 0],
  ]);
}

export function tinyTokenizer(
  pieces: readonly TinyPiece[] = words,
  more: readonly [string, unknown][] = [],
): Tokenizer {
  return tokenizerFromGguf(new Map([...tinyMetadata(pieces), ...more]), "tiny");
}

const words: readonly TinyPiece[] = [
  "he",
  "ll",
  "hell",
  "hello",
  "▁w",
  "or",
  "▁wor",
  "ld",
  "▁world",
  "▁",
  "▁▁",
  "s",
  "<",
  ">",
  "/",
].map((piece, rank) => ({ piece, score: -rank }));
