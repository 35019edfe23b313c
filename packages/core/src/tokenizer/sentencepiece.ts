// SentencePiece's tokenizer.model: a protobuf message with the pieces, how they were trained and how text is
// normalized. Source: github.com/google/sentencepiece, src/sentencepiece_model.proto; field numbers below are its.

import { refuse } from "./assemble.ts";
import { type Charsmap, readCharsmap } from "./charsmap.ts";
import { messageFields } from "./protobuf.ts";
import { tokenizerFromVocabulary } from "./score-bpe.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { utf8Decode } from "./utf8.ts";
import { type NormalizerSpec, pieceKind, type Vocabulary } from "./vocabulary.ts";

/**
 * Tokenizer from the bytes of a `tokenizer.model` of type BPE.
 *
 * @param source Name used in errors, usually the file's path.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when the file is damaged or asks for something else than BPE.
 */
export function tokenizerFromSentencePiece(bytes: Uint8Array, source: string): Tokenizer {
  return tokenizerFromVocabulary(readSentencePiece(bytes, source));
}

/** The vocabulary of a `tokenizer.model`. @throws {PolyllamaError} `ERR_TOKENIZER` */
export function readSentencePiece(bytes: Uint8Array, source: string): Vocabulary {
  const pieces: string[] = [];
  const scores: number[] = [];
  const kinds: number[] = [];
  for (const { piece, score, type } of readPieces(bytes, source)) {
    pieces.push(piece);
    scores.push(score);
    kinds.push(type);
  }
  let trainer: TrainerSpec | undefined;
  let normalizer: NormalizerSpec | undefined;
  for (const field of messageFields(bytes, source)) {
    if (field.number === 2) trainer = readTrainer(field.bytes, source);
    else if (field.number === 3) normalizer = readNormalizer(field.bytes, source);
    else if (field.number === 5) {
      const denormalizer = readNormalizer(field.bytes, source);
      if (denormalizer.charsmap) refuse(source, "denormalizer_spec has a precompiled_charsmap, which is not supported");
    }
  }

  if (trainer === undefined || normalizer === undefined) {
    return refuse(source, `there is no ${trainer ? "normalizer_spec" : "trainer_spec"}; the file is cut short`);
  }
  if (trainer.modelType !== 2) {
    const name = modelTypes[trainer.modelType] ?? `number ${trainer.modelType}`;
    refuse(source, `the model type is ${name}, but Llama's tokenizers are of type BPE`);
  }
  const unknown = kinds.indexOf(pieceKind.unknown);
  if (unknown < 0) refuse(source, "there is no unknown piece among the pieces");
  if (kinds.indexOf(pieceKind.unknown, unknown + 1) >= 0) refuse(source, "there is more than one unknown piece");
  const { bosPiece, eosPiece, unknownText, byteFallback } = trainer;
  const control = (piece: string): number | undefined => {
    const id = pieces.indexOf(piece);
    return kinds[id] === pieceKind.control ? id : undefined;
  };
  const bos = control(bosPiece);
  return {
    source,
    pieces,
    scores: Float32Array.from(scores),
    kinds,
    bos,
    eos: control(eosPiece),
    addBos: bos !== undefined,
    addEos: false,
    unknownText,
    byteFallback,
    normalizer,
    chatTemplate: undefined,
  };
}

/** A piece as a `tokenizer.model` has it, of whatever type the model is. */
export interface ScoredPiece {
  readonly piece: string;
  readonly score: number;
  /** A value of `pieceKind`. */
  readonly type: number;
  /** Where its field ends in the file. */
  readonly end: number;
}

/** Four times the largest vocabularies; a few bytes of a file make a piece. */
const mostPieces = 2 ** 20;

/** The pieces of a `tokenizer.model`, in the order of their ids. @throws {PolyllamaError} `ERR_TOKENIZER` */
export function* readPieces(model: Uint8Array, source: string): Generator<ScoredPiece> {
  let id = 0;
  for (const { number, bytes } of messageFields(model, source)) {
    if (number !== 1) continue;
    if (id === mostPieces) refuse(source, `it has more than ${mostPieces} pieces`);
    let piece = "";
    let score = 0;
    let type: number = pieceKind.normal;
    for (const field of messageFields(bytes, source)) {
      if (field.number === 1) piece = text(field.bytes, source, `piece ${id}`);
      else if (field.number === 2) score = field.value;
      else if (field.number === 3) type = field.value;
    }
    yield { piece, score, type, end: bytes.byteOffset + bytes.length - model.byteOffset };
    id++;
  }
}

interface TrainerSpec {
  readonly modelType: number;
  readonly byteFallback: boolean;
  readonly unknownText: string;
  readonly bosPiece: string;
  readonly eosPiece: string;
}

const modelTypes = ["", "unigram", "BPE", "word", "char"];

function readTrainer(bytes: Uint8Array, source: string): TrainerSpec {
  let modelType = 1;
  let byteFallback = false;
  let unknownText = " \u2047 ";
  let bosPiece = "<s>";
  let eosPiece = "</s>";
  for (const field of messageFields(bytes, source)) {
    if (field.number === 3) modelType = field.value;
    else if (field.number === 24 && field.value !== 0) refuse(source, "treat_whitespace_as_suffix is not supported");
    else if (field.number === 35) byteFallback = field.value !== 0;
    else if (field.number === 44) unknownText = text(field.bytes, source, "unk_surface");
    else if (field.number === 46) bosPiece = text(field.bytes, source, "bos_piece");
    else if (field.number === 47) eosPiece = text(field.bytes, source, "eos_piece");
  }
  return { modelType, byteFallback, unknownText, bosPiece, eosPiece };
}

function readNormalizer(bytes: Uint8Array, source: string): NormalizerSpec {
  let charsmap: Charsmap | undefined;
  let addDummyPrefix = true;
  let removeExtraWhitespaces = true;
  let escapeWhitespaces = true;
  for (const field of messageFields(bytes, source)) {
    if (field.number === 2 && field.bytes.length > 0) charsmap = readCharsmap(field.bytes, source);
    else if (field.number === 3) addDummyPrefix = field.value !== 0;
    else if (field.number === 4) removeExtraWhitespaces = field.value !== 0;
    else if (field.number === 5) escapeWhitespaces = field.value !== 0;
  }
  return { charsmap, addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces };
}

function text(bytes: Uint8Array, source: string, what: string): string {
  return utf8Decode(bytes) ?? refuse(source, `${what} is not UTF-8`);
}
