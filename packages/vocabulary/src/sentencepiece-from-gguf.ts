// SentencePiece's tokenizer.model out of the keys that GGUF has for the same vocabulary, for checkpoints that came
// without the file. Only what reading needs is written: pieces with scores and kinds, the algorithm, and how text is
// prepared. Source: github.com/google/sentencepiece, src/sentencepiece_model.proto; field numbers below are its.

import { pieceKind } from "@polyllama/core";
import { messageWriter } from "./message-writer.ts";

/**
 * The bytes of a tokenizer.model that says what GGUF metadata say.
 *
 * @param metadata Keys and values that `tokenizerFromGguf` reads.
 */
export function sentencePieceFromGguf(metadata: ReadonlyMap<string, unknown>): Uint8Array<ArrayBuffer> {
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`);
  const tokens = list(get("tokens")).map(String);
  const scores = list(get("scores")).map(Number);
  const kinds = list(get("token_type")).map(Number);
  const control = (key: string, usual: number): number => Number(get(key) ?? usual);
  const unknown = control("unknown_token_id", 0);
  const bos = control("bos_token_id", 1);
  const eos = control("eos_token_id", 2);

  const model = messageWriter();
  for (const [id, token] of tokens.entries()) {
    const entry = messageWriter();
    const isControl = id === bos || id === eos;
    entry.text(1, token);
    entry.float(2, scores[id] ?? 0);
    entry.number(
      3,
      isControl ? pieceKind.control : (kinds[id] ?? (id === unknown ? pieceKind.unknown : pieceKind.normal)),
    );
    model.bytes(1, entry.finish());
  }
  const trainer = messageWriter();
  trainer.number(3, 2); // BPE
  trainer.number(4, tokens.length);
  trainer.number(35, Number(kinds.includes(pieceKind.byte)));
  trainer.number(40, unknown);
  trainer.number(41, bos);
  trainer.number(42, eos);
  trainer.number(43, -1); // no padding
  trainer.text(45, tokens[unknown] ?? "<unk>");
  trainer.text(46, tokens[bos] ?? "<s>");
  trainer.text(47, tokens[eos] ?? "</s>");
  model.bytes(2, trainer.finish());

  const charsmap = list(get("precompiled_charsmap")).map(Number);
  const normalizer = messageWriter();
  normalizer.text(1, charsmap.length > 0 ? "precompiled" : "identity");
  if (charsmap.length > 0) normalizer.bytes(2, Uint8Array.from(charsmap));
  normalizer.number(3, Number(get("add_space_prefix") !== false));
  normalizer.number(4, Number(get("remove_extra_whitespaces") === true));
  normalizer.number(5, 1); // spaces are written as ▁
  model.bytes(3, normalizer.finish());
  return model.finish();
}

function list(value: unknown): readonly unknown[] {
  // a view of numbers
  return Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>) : [];
}
