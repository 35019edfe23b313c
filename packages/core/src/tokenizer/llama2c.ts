// llama2.c's tokenizer.bin: the longest piece's length, then score, length and bytes of each piece, little-endian. The
// number of pieces and their kinds are not in the file: pieces 0, 1 and 2 are unknown, BOS and EOS, `<0x0A>` spells a
// byte, and spaces stand as themselves. Its encoder equals SentencePiece's for such a vocabulary.
// Source: github.com/karpathy/llama2.c, tokenizer.py (export) and run.c (build_tokenizer, encode).

import { refuse } from "./assemble.ts";
import { tokenizerFromVocabulary } from "./score-bpe.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { utf8Decode } from "./utf8.ts";
import { byteOfPiece, pieceKind, spaceSymbol, type Vocabulary } from "./vocabulary.ts";

/**
 * Tokenizer from the bytes of a `tokenizer.bin`.
 *
 * @param vocabSize Number of pieces, V, which only the model knows.
 * @param source Name used in errors, usually the file's path.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when the file does not hold exactly that many pieces.
 */
export function tokenizerFromLlama2c(bytes: Uint8Array, vocabSize: number, source: string): Tokenizer {
  return tokenizerFromVocabulary(readLlama2cVocabulary(bytes, vocabSize, source));
}

/** The vocabulary of a `tokenizer.bin`. @throws as {@link tokenizerFromLlama2c} does. */
export function readLlama2cVocabulary(bytes: Uint8Array, vocabSize: number, source: string): Vocabulary {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!Number.isInteger(vocabSize) || vocabSize < 3) {
    refuse(source, `a vocabulary of ${vocabSize} pieces has no room for unknown, BOS and EOS`);
  }
  const pieces: string[] = [];
  const scores: number[] = [];
  let at = 4;
  for (let id = 0; id < vocabSize; id++) {
    const left = bytes.length - at - 8;
    if (left < 0) refuse(source, `the file ends before piece ${id} of ${vocabSize}`);
    scores.push(view.getFloat32(at, true));
    const length = view.getInt32(at + 4, true);
    if (length < 0 || length > left) refuse(source, `piece ${id} has ${length} bytes where ${left} are left`);
    const piece = utf8Decode(bytes.subarray(at + 8, at + 8 + length)) ?? refuse(source, `piece ${id} is not UTF-8`);
    pieces.push(id === 1 || id === 2 ? piece.trim() : piece.replaceAll(" ", spaceSymbol));
    at += 8 + length;
  }
  if (at !== bytes.length) {
    refuse(
      source,
      `${bytes.length - at} bytes follow the ${vocabSize} pieces that the model has; it is another model's file`,
    );
  }
  const first = [pieceKind.unknown, pieceKind.control, pieceKind.control];
  const kinds = pieces.map((piece, id) => first[id] ?? (byteOfPiece(piece) < 0 ? pieceKind.normal : pieceKind.byte));
  return {
    source,
    pieces,
    scores: Float32Array.from(scores),
    kinds,
    bos: 1,
    eos: 2,
    addBos: true,
    addEos: false,
    unknownText: pieces[0]!,
    byteFallback: kinds.includes(pieceKind.byte),
    normalizer: { addDummyPrefix: true, removeExtraWhitespaces: false, escapeWhitespaces: true, charsmap: undefined },
    chatTemplate: undefined,
  };
}
