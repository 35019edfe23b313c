// Extending a vocabulary by the method of Chinese-LLaMA: pieces that are missing are put behind the others with score
// 0, so that every old piece keeps its id. Score 0 is the best there is; new pieces are put together before old ones,
// from left to right. The base file's own bytes stay as they are, which makes the result equal to what SentencePiece's
// Python bindings write.
// Source: "Efficient and Effective Text Encoding for Chinese LLaMA and Alpaca", section 3.1 (arXiv 2304.08177);
// github.com/ymcui/Chinese-LLaMA-Alpaca, scripts/merge_tokenizer.

import { PolyllamaError, pieceKind, quoted, readPieces, readSentencePiece } from "@polyllama/core";
import { messageWriter } from "./message-writer.ts";

/** What `mergeVocabularies` gives. */
export interface MergedVocabulary {
  /** The bytes of a `tokenizer.model`. */
  readonly model: Uint8Array<ArrayBuffer>;
  /** Number of pieces, V. */
  readonly vocabSize: number;
  /** Pieces that the base did not have, in the order of their ids, which follow the base's. */
  readonly added: readonly string[];
}

/**
 * Appends the pieces of one `tokenizer.model` that another lacks. Only pieces are taken over: how text is normalized
 * remains the base's affair, and the extra model may be of any type, Unigram too.
 *
 * @param baseName Name used in errors, usually the file's path; so is `extraName`.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when a file is damaged, the base is no BPE, or the extra has pieces for
 * bytes which the base, having no byte fallback, would take for text.
 */
export function mergeVocabularies(
  base: Uint8Array,
  extra: Uint8Array,
  baseName: string,
  extraName: string,
): MergedVocabulary {
  const { pieces, byteFallback } = readSentencePiece(base, baseName);
  const known = new Set(pieces);
  const added: string[] = [];
  const appended = messageWriter();
  for (const { piece, type } of readPieces(extra, extraName)) {
    if (known.has(piece) || type === pieceKind.unknown) continue;
    if (piece === "") refuse(extraName, "a piece is empty");
    if (type === pieceKind.byte && !byteFallback)
      refuse(extraName, `${quoted(piece, 80)} is a byte, but ${baseName} has none`);
    known.add(piece);
    added.push(piece);
    const entry = messageWriter();
    entry.text(1, piece);
    entry.float(2, 0);
    if (type !== pieceKind.normal) entry.number(3, type);
    appended.bytes(1, entry.finish());
  }

  let end = 0;
  for (const piece of readPieces(base, baseName)) end = piece.end;
  const tail = appended.finish();
  const model = new Uint8Array(base.length + tail.length);
  model.set(base.subarray(0, end));
  model.set(tail, end);
  model.set(base.subarray(end), end + tail.length);
  return { model, vocabSize: pieces.length + added.length, added };
}

function refuse(source: string, problem: string): never {
  throw new PolyllamaError("ERR_TOKENIZER", `${source}: ${problem}.`);
}
