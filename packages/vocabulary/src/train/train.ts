// Training a vocabulary the way SentencePiece trains BPE: the characters that cover a corpus, then merges of the most
// frequent pairs, and the result as a tokenizer.model that SentencePiece, llama.cpp and this project read. The settings
// left out are those of Llama 2's own vocabulary, as its file declares them.
// Source: github.com/google/sentencepiece, src/trainer_interface.cc, src/bpe_model_trainer.cc.

import {
  checkOptions,
  type OptionSchema,
  option,
  PolyllamaError,
  type Progress,
  pieceKind,
  spaceSymbol,
} from "@polyllama/core";
import { messageWriter } from "../message-writer.ts";
import { createCorpus } from "./corpus.ts";
import { mergePairs } from "./pairs.ts";

/** Options of `trainVocabulary`. */
export interface TrainVocabularyOptions {
  /** Number of pieces, V: control pieces, bytes and characters included. */
  readonly vocabSize: number;
  /** Share of the text whose characters become pieces; the rest is written as bytes. From 0.98 to 1; default 0.9995. */
  readonly characterCoverage?: number;
  /** Write characters without a piece as bytes; default true. Without, they become the unknown token. */
  readonly byteFallback?: boolean;
  /** Make each digit a token of its own; default true. */
  readonly splitDigits?: boolean;
  /** Keep numbers apart from letters, as scripts are kept apart; default true. */
  readonly splitByNumber?: boolean;
  /** Keep scripts apart; default true. */
  readonly splitByUnicodeScript?: boolean;
  /** Allow pieces of several spaces; default true. */
  readonly allowWhitespaceOnlyPieces?: boolean;
  /** Put a space in front of every text; default true. */
  readonly addDummyPrefix?: boolean;
  /** Drop spaces at both ends of a text and all but one of a run; default false. */
  readonly removeExtraWhitespaces?: boolean;
  /** Longest piece in characters; default 16. */
  readonly maxPieceLength?: number;
  /** Longer lines are skipped; bytes, default 4192. */
  readonly maxLineBytes?: number;
  /** Pieces that text always becomes where they stand. */
  readonly userDefinedSymbols?: readonly string[];
  /** Tokens that no text becomes. */
  readonly controlSymbols?: readonly string[];
  /** Lines read, then pieces found. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What `trainVocabulary` gives. */
export interface TrainedVocabulary {
  /** The bytes of a `tokenizer.model`. */
  readonly model: Uint8Array<ArrayBuffer>;
  /** Lines that were read. */
  readonly lines: number;
  /** Lines among them that were left out: too long, or with the character U+2585, which SentencePiece reserves. */
  readonly skipped: number;
  /** Characters that have a piece. */
  readonly characters: number;
}

const strings = option.list(option.string, "a list of strings");

const optionTypes: OptionSchema<TrainVocabularyOptions> = {
  vocabSize: { ...option.integer({ least: 4, most: 1 << 24 }), required: true },
  characterCoverage: option.number({ least: 0.98, most: 1 }),
  byteFallback: option.boolean,
  splitDigits: option.boolean,
  splitByNumber: option.boolean,
  splitByUnicodeScript: option.boolean,
  allowWhitespaceOnlyPieces: option.boolean,
  addDummyPrefix: option.boolean,
  removeExtraWhitespaces: option.boolean,
  maxPieceLength: option.integer({ least: 1, most: 512 }),
  maxLineBytes: option.integer({ least: 10 }),
  userDefinedSymbols: strings,
  controlSymbols: strings,
  onProgress: option.function,
  signal: option.signal,
};

/** Milliseconds of work between two turns of the event loop. */
const turn = 50;

/**
 * Trains a BPE vocabulary. Gives way to the event loop as it works.
 *
 * @param lines Lines of text without their ends; all that is read of them is kept in memory once for every different
 * word.
 * @throws {PolyllamaError} `ERR_OPTION` for options out of range; `ERR_TOKENIZER` when the corpus has too many
 * characters or too few pieces for `vocabSize`; the signal's reason when aborted.
 */
export async function trainVocabulary(
  lines: Iterable<string> | AsyncIterable<string>,
  options: TrainVocabularyOptions,
): Promise<TrainedVocabulary> {
  checkOptions(options, optionTypes, "trainVocabulary()");
  const settings = resolve(options);
  const { onProgress, signal } = options;
  const reserved = reservedPieces(settings);
  const corpus = createCorpus({
    ...settings,
    reserved: reserved.map(({ piece }) => piece),
    normalizer: { ...settings, escapeWhitespaces: true, charsmap: undefined },
  });

  let since = performance.now();
  const breathe = async (progress: Progress): Promise<void> => {
    onProgress?.(progress);
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    since = performance.now();
  };
  signal?.throwIfAborted();
  let read = 0;
  let skipped = 0;
  for await (const line of lines) {
    if (!corpus.add(line)) skipped++;
    read++;
    if (read % 256 === 0 && performance.now() - since > turn) {
      await breathe({ phase: "reading", done: read, total: 0, unit: "lines" });
    }
  }

  const characters = corpus.characters(settings.characterCoverage);
  const wanted = settings.vocabSize - reserved.length - characters.size;
  if (wanted <= 0) {
    throw new PolyllamaError(
      "ERR_TOKENIZER",
      `${characters.size} characters and ${reserved.length} reserved pieces do not fit into a vocabulary of ${settings.vocabSize}. ` +
        "Raise the vocabulary's size, or lower the character coverage.",
    );
  }
  const pieces: string[] = [];
  const words = coveredWords(corpus.words, characters);
  for (const piece of mergePairs(words, { maxPieceLength: settings.maxPieceLength, space: spaceSymbol })) {
    pieces.push(piece);
    if (pieces.length === wanted) break;
    if (performance.now() - since > turn) {
      await breathe({ phase: "merging", done: pieces.length, total: wanted, unit: "pieces" });
    }
  }
  if (pieces.length < wanted) {
    const possible = settings.vocabSize - wanted + pieces.length;
    throw new PolyllamaError(
      "ERR_TOKENIZER",
      `The corpus yields only ${possible} pieces, not ${settings.vocabSize}; give more text, or ask for at most ${possible}.`,
    );
  }
  pieces.push(...Array.from(characters.keys(), (code) => String.fromCodePoint(code)));
  return { model: encodeModel(reserved, pieces, settings), lines: read, skipped, characters: characters.size };
}

type Settings = Required<Omit<TrainVocabularyOptions, "onProgress" | "signal">>;

function resolve(options: TrainVocabularyOptions): Settings {
  const settings: Settings = {
    vocabSize: options.vocabSize,
    characterCoverage: options.characterCoverage ?? 0.9995,
    byteFallback: options.byteFallback ?? true,
    splitDigits: options.splitDigits ?? true,
    splitByNumber: options.splitByNumber ?? true,
    splitByUnicodeScript: options.splitByUnicodeScript ?? true,
    allowWhitespaceOnlyPieces: options.allowWhitespaceOnlyPieces ?? true,
    addDummyPrefix: options.addDummyPrefix ?? true,
    removeExtraWhitespaces: options.removeExtraWhitespaces ?? false,
    maxPieceLength: options.maxPieceLength ?? 16,
    maxLineBytes: options.maxLineBytes ?? 4192,
    userDefinedSymbols: options.userDefinedSymbols ?? [],
    controlSymbols: options.controlSymbols ?? [],
  };
  return settings;
}

interface ReservedPiece {
  readonly piece: string;
  readonly type: number;
}

/**
 * `<unk>`, `<s>` and `</s>`, then the caller's own, then the bytes.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for names given twice.
 */
function reservedPieces({ controlSymbols, userDefinedSymbols, byteFallback }: Settings): ReservedPiece[] {
  const pieces: ReservedPiece[] = [
    { piece: "<unk>", type: pieceKind.unknown },
    { piece: "<s>", type: pieceKind.control },
    { piece: "</s>", type: pieceKind.control },
    ...controlSymbols.map((piece) => ({ piece, type: pieceKind.control })),
    ...userDefinedSymbols.map((symbol) => ({
      piece: symbol.replaceAll(" ", spaceSymbol),
      type: pieceKind.userDefined,
    })),
  ];
  for (let byte = 0; byte < 256 && byteFallback; byte++) {
    pieces.push({ piece: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, type: pieceKind.byte });
  }
  const seen = new Set<string>();
  for (const { piece } of pieces) {
    if (piece === "" || seen.has(piece)) {
      throw new PolyllamaError("ERR_OPTION", `The symbol "${piece}" is ${piece === "" ? "empty" : "there twice"}.`);
    }
    seen.add(piece);
  }
  return pieces;
}

/** Words cut at characters that have no piece, as code points. */
function* coveredWords(
  words: ReadonlyMap<string, number>,
  covered: ReadonlyMap<number, number>,
): Generator<[number[], number]> {
  for (const [word, count] of words) {
    let run: number[] = [];
    for (const character of word) {
      const code = character.codePointAt(0)!;
      if (covered.has(code)) run.push(code);
      else {
        yield [run, count];
        run = [];
      }
    }
    yield [run, count];
  }
}

function encodeModel(
  reserved: readonly ReservedPiece[],
  pieces: readonly string[],
  settings: Settings,
): Uint8Array<ArrayBuffer> {
  const model = messageWriter();
  const put = (piece: string, score: number, type: number): void => {
    const entry = messageWriter();
    entry.text(1, piece);
    entry.float(2, score);
    if (type !== pieceKind.normal) entry.number(3, type);
    model.bytes(1, entry.finish());
  };
  for (const { piece, type } of reserved) put(piece, 0, type);
  for (const [rank, piece] of pieces.entries()) put(piece, -rank, pieceKind.normal);

  const trainer = messageWriter();
  trainer.number(3, 2); // BPE
  trainer.number(4, settings.vocabSize);
  trainer.float(10, settings.characterCoverage);
  trainer.number(18, settings.maxLineBytes);
  trainer.number(20, settings.maxPieceLength);
  trainer.number(21, Number(settings.splitByUnicodeScript));
  trainer.number(22, 1); // split by white space
  trainer.number(23, Number(settings.splitByNumber));
  trainer.number(25, Number(settings.splitDigits));
  trainer.number(26, Number(settings.allowWhitespaceOnlyPieces));
  for (const symbol of settings.controlSymbols) trainer.text(30, symbol);
  for (const symbol of settings.userDefinedSymbols) trainer.text(31, symbol);
  trainer.number(35, Number(settings.byteFallback));
  trainer.number(40, 0); // <unk>
  trainer.number(41, 1); // <s>
  trainer.number(42, 2); // </s>
  trainer.number(43, -1); // no padding
  model.bytes(2, trainer.finish());

  const normalizer = messageWriter();
  normalizer.text(1, "identity");
  normalizer.bytes(2, new Uint8Array(0));
  normalizer.number(3, Number(settings.addDummyPrefix));
  normalizer.number(4, Number(settings.removeExtraWhitespaces));
  normalizer.number(5, 1); // spaces are written as ▁
  model.bytes(3, normalizer.finish());
  return model.finish();
}
