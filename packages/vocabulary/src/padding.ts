// Embedding tables are padded to round numbers of rows, and GGUF wants a piece for each row: converters name them
// [PAD32000] after their ids and mark them unused. They are no tokens: no text becomes one and none is ever chosen.
// Source: llama.cpp, convert_hf_to_gguf.py (set_vocab).

import { pieceKind } from "@polyllama/core";

/** The name of a row that only fills the table up. */
export function paddingPiece(id: number): string {
  return `[PAD${id}]`;
}

/** The same keys without the pieces at the end that stand for padding rows. */
export function withoutPadding(metadata: ReadonlyMap<string, unknown>): ReadonlyMap<string, unknown> {
  const [tokens, types] = ["tokens", "token_type"].map((key) => listOf(metadata.get(`tokenizer.ggml.${key}`)));
  if (tokens === undefined || types === undefined || types.length !== tokens.length) return metadata;
  let count = tokens.length;
  while (count > 0 && types[count - 1] === pieceKind.unused && tokens[count - 1] === paddingPiece(count - 1)) count--;
  if (count === tokens.length) return metadata;
  const lists = ["tokens", "scores", "token_type"].flatMap((key) => {
    const list = listOf(metadata.get(`tokenizer.ggml.${key}`));
    return list?.length === tokens.length ? [[`tokenizer.ggml.${key}`, list.slice(0, count)] as const] : [];
  });
  return new Map([...metadata, ...lists]);
}

function listOf(value: unknown): readonly unknown[] | undefined {
  // of numbers
  return Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>) : undefined;
}
