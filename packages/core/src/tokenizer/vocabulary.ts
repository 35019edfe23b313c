// A vocabulary of scored pieces: what tokenizer.model, GGUF metadata and tokenizer.bin all hold. Each of the three
// readers fills this one record; score-bpe.ts makes a tokenizer of it.

import { refuse, shown } from "./assemble.ts";
import type { Charsmap } from "./charsmap.ts";
import type { Cutting } from "./cutting.ts";
import type { TokenKind } from "./tokenizer.ts";

/** Kinds of pieces, numbered as in SentencePiece's protocol and in GGUF. */
export const pieceKind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The same by number. */
export const kindNames: readonly (TokenKind | undefined)[] = [
  undefined,
  "normal",
  "unknown",
  "control",
  "user-defined",
  "unused",
  "byte",
];

/** Stands for a space within pieces. */
export const spaceSymbol = "\u2581";

/** How text is prepared before it is cut into pieces. */
export interface NormalizerSpec {
  /** Put a space in front of the text; it is taken away again when decoding. */
  readonly addDummyPrefix: boolean;
  /** Drop spaces at both ends and all but one of a run. */
  readonly removeExtraWhitespaces: boolean;
  /** Write spaces as ▁. */
  readonly escapeWhitespaces: boolean;
  /** Replacements of characters, such as NFKC; undefined for none. */
  readonly charsmap: Charsmap | undefined;
}

/** The pieces of a tokenizer, by id. */
export interface Vocabulary {
  readonly source: string;
  readonly pieces: readonly string[];
  /** Larger merges first. */
  readonly scores: Float32Array;
  /** Values of `pieceKind`. */
  readonly kinds: readonly number[];
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** What the unknown token decodes to. */
  readonly unknownText: string;
  /** Write characters without a piece as bytes; `partial`: though some bytes have no piece. */
  readonly byteFallback: boolean | "partial";
  /**
   * Ids that no text becomes by merging: pieces that another id spells too, and tokens that are only cut out by name.
   */
  readonly unreachable?: ReadonlySet<number>;
  /** What is cut out by name before anything else; default: control tokens, where they are asked for. */
  readonly cutting?: Cutting;
  readonly normalizer: NormalizerSpec;
  readonly chatTemplate: string | undefined;
}

/** The byte that a piece such as `<0x0A>` stands for, or -1. */
export function byteOfPiece(piece: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(piece) ? Number.parseInt(piece.slice(3, 5), 16) : -1;
}

/**
 * By byte: the id of its piece, or -1.
 *
 * @throws {PolyllamaError} `ERR_TOKENIZER` when one is missing that must be there.
 */
export function byteTokens({ source, pieces, kinds, byteFallback }: Vocabulary): Int32Array {
  const tokens = new Int32Array(256).fill(-1);
  for (const [id, piece] of pieces.entries()) if (kinds[id] === pieceKind.byte) tokens[byteOfPiece(piece)] = id;
  const missing = tokens.indexOf(-1);
  if (missing >= 0 && byteFallback !== "partial")
    refuse(source, `byte fallback needs 256 byte pieces; there is none for byte ${missing}`);
  return tokens;
}

/** Refuses a vocabulary that the algorithm would misread. @throws {PolyllamaError} `ERR_TOKENIZER` */
export function checkVocabulary({ source, pieces, scores, kinds, bos, eos, unreachable }: Vocabulary): void {
  if (pieces.length === 0) refuse(source, "the vocabulary is empty");
  const seen = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) {
    const first = seen.get(piece);
    if (first !== undefined && !unreachable?.has(id))
      refuse(source, `the pieces ${first} and ${id} are both ${shown(piece)}`);
    if (first === undefined) seen.set(piece, id);
    if (piece === "") refuse(source, `piece ${id} is empty`);
    if (Number.isNaN(scores[id])) refuse(source, `the score of piece ${id} is NaN`);
    const type = kinds[id]!;
    if (!Number.isInteger(type) || type < pieceKind.normal || type > pieceKind.byte)
      refuse(source, `piece ${id} has the unknown type ${type}`);
    if (type === pieceKind.byte && byteOfPiece(piece) < 0) {
      refuse(source, `piece ${id}, ${shown(piece)}, is declared a byte but does not spell one`);
    }
  }
  for (const [name, id] of [["BOS", bos] as const, ["EOS", eos] as const]) {
    if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < pieces.length)) {
      refuse(source, `the ${name} id ${id} is not among the ${pieces.length} tokens`);
    }
  }
}
