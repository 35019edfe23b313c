// SentencePiece's BPE, from its published algorithm: the text is cut into characters and names of user-defined pieces,
// neighbours merge into the piece with the best score, leftmost first, and what has no piece in the end is written as
// bytes. Pieces marked unused take part in merging and are then split again the way they were last put together.
//
// Two characters that stand side by side in no piece never merge, so text falls apart there into words (of one
// character each where a vocabulary does not know the language, of a few elsewhere) whose ids can be remembered. A text
// that does not fall apart, a megabyte of one letter, is one word; merging it takes O(n log n).
// Source: github.com/google/sentencepiece, src/bpe_model.cc, src/normalizer.cc and src/sentencepiece_processor.cc.

import { assemble, refuse } from "./assemble.ts";
import { type Cutting, cutter, plainToken } from "./cutting.ts";
import { scoreDecoder } from "./decoder.ts";
import { changedWithPlaces, type Places, placesWithin } from "./literal.ts";
import { cutAtNames, nameMatcher } from "./match.ts";
import { mergeSymbols } from "./merge.ts";
import { characterLength, textNormalizer } from "./normalize.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { utf8Encode } from "./utf8.ts";
import { byteTokens, checkVocabulary, kindNames, pieceKind, type Vocabulary } from "./vocabulary.ts";
import { neighbours } from "./words.ts";

/** @throws {PolyllamaError} `ERR_TOKENIZER` when the vocabulary is not sound. */
export function tokenizerFromVocabulary(vocabulary: Vocabulary): Tokenizer {
  checkVocabulary(vocabulary);
  const { source, pieces, kinds, bos, eos, addBos, addEos, chatTemplate } = vocabulary;
  const segmentText = segmenter(vocabulary);
  const cut = cutter(vocabulary.cutting ?? controlsAlone(vocabulary));

  return assemble({
    source,
    pieces,
    bos,
    eos,
    addBos,
    addEos,
    chatTemplate,
    kind: (id) => kindNames[kinds[id]!]!, // checked
    segment(text, special, places) {
      const ids: number[] = [];
      for (const { text: stretch, id, start, prefixed } of cut(text, special, places)) {
        const inside = placesWithin(places, start, start + stretch.length);
        if (id !== undefined) ids.push(id);
        else for (const one of segmentText(stretch, prefixed, inside)) ids.push(one);
      }
      return ids;
    },
    ...scoreDecoder(vocabulary),
  });
}

/** SentencePiece's own way. */
function controlsAlone({ pieces, kinds }: Vocabulary): Cutting {
  const tokens = pieces.flatMap((piece, id) => (kinds[id] === pieceKind.control ? [plainToken(id, piece, true)] : []));
  return { tokens, order: "leftmost", prefix: "every" };
}

/** UTF-16 units of the longest word that is remembered, and how many words are. */
const longestRemembered = 32;
const mostRemembered = 1 << 15;

/**
 * A function from well-formed text to ids; `prefixed`: with the space in front, of a vocabulary that puts one. No
 * user-defined piece spans one of the places.
 */
function segmenter(vocabulary: Vocabulary): (text: string, prefixed: boolean, places: Places) => number[] {
  const { pieces, kinds, unreachable } = vocabulary;
  const userDefined = nameMatcher(named(vocabulary, pieceKind.userDefined));
  const withPrefix = textNormalizer(vocabulary.normalizer, userDefined);
  const withoutPrefix = textNormalizer({ ...vocabulary.normalizer, addDummyPrefix: false }, userDefined);
  const normalize = (text: string, prefixed: boolean, places: Places) =>
    changedWithPlaces(text, places, prefixed ? withPrefix : withoutPrefix);
  const unknown = kinds.indexOf(pieceKind.unknown);
  const ids = new Map<string, number>(); // pieces that text can become
  const single = new Int32Array(1 << 16).fill(-1); // the same for pieces of one UTF-16 unit
  for (const [id, piece] of pieces.entries()) {
    const type = kinds[id];
    if (
      (type !== pieceKind.normal && type !== pieceKind.userDefined && type !== pieceKind.unused) ||
      unreachable?.has(id)
    )
      continue;
    ids.set(piece, id);
    if (piece.length === 1) single[piece.charCodeAt(0)] = id;
  }
  const { symbols, write } = merger(vocabulary, ids);
  const append = (result: number[], more: readonly number[]): void => {
    // A run of unknown pieces is one token.
    for (const id of more) if (id !== unknown || result.at(-1) !== unknown) result.push(id);
  };

  if (kinds.includes(pieceKind.unused)) {
    // How an unused piece is split again depends on the whole text, so nothing is cut or remembered.
    return (original, prefixed, literal) => {
      const splits = new Map<string, number>();
      const { text: whole, places } = normalize(original, prefixed, literal);
      const all = cutAtNames(whole, userDefined, places).flatMap(({ text, id }) =>
        id === undefined ? symbols(text, places.length > 0, splits) : [text],
      );
      const result: number[] = [];
      for (const symbol of all) append(result, write(symbol, splits));
      return result;
    };
  }

  const together = neighbours(ids.keys());
  const remembered = new Map<string, readonly number[]>();
  const encodeWord = (word: string, literal: boolean): readonly number[] => {
    const known = literal ? undefined : remembered.get(word);
    if (known !== undefined) return known;
    const result: number[] = [];
    for (const symbol of symbols(word, literal)) append(result, write(symbol));
    if (literal || word.length > longestRemembered) return result;
    if (remembered.size === mostRemembered) remembered.clear();
    remembered.set(word, result);
    return result;
  };

  return (original, prefixed, literal) => {
    const result: number[] = [];
    const { text: whole, places } = normalize(original, prefixed, literal);
    for (const { text, id } of cutAtNames(whole, userDefined, places)) {
      if (id !== undefined) {
        result.push(id);
        continue;
      }
      let left = text.charCodeAt(0);
      for (let start = 0, end = 1; end <= text.length; end++) {
        const right = text.charCodeAt(end);
        if (end < text.length && together(left, right)) {
          left = right;
          continue;
        }
        const known = end - start === 1 ? single[left]! : -1;
        if (known >= 0) result.push(known);
        else append(result, encodeWord(text.slice(start, end), places.length > 0));
        start = end;
        left = right;
      }
    }
    return result;
  };
}

interface Merger {
  /**
   * What is left of a text when nothing merges any more. In literal text nothing merges into a user-defined piece.
   * Notes where unused pieces were put together last.
   */
  symbols(text: string, literal: boolean, splits?: Map<string, number>): string[];
  /** Ids of such a symbol. */
  write(symbol: string, splits?: ReadonlyMap<string, number>): readonly number[];
}

function merger(vocabulary: Vocabulary, ids: ReadonlyMap<string, number>): Merger {
  const { scores, kinds } = vocabulary;
  const bytes = vocabulary.byteFallback ? byteTokens(vocabulary) : undefined;
  const unknown = kinds.indexOf(pieceKind.unknown);
  const byteToken = (bytes: Int32Array, byte: number, piece: string): number => {
    const id = bytes[byte]!; // a byte is less than 256
    return id >= 0 ? id : refuse(vocabulary.source, `the vocabulary has neither "${piece}" nor the byte ${byte} of it`);
  };
  let longest = 0;
  for (const piece of ids.keys()) longest = Math.max(longest, piece.length);

  return {
    symbols(text, literal, splits) {
      const starts = new Int32Array(text.length); // by symbol, in UTF-16 units
      const ends = new Int32Array(text.length);
      let count = 0;
      for (let at = 0; at < text.length; count++) {
        starts[count] = at;
        at += characterLength(text, at);
        ends[count] = at;
      }
      const next = mergeSymbols(count, {
        priorities: scores,
        find(left, right) {
          const start = starts[left]!;
          const end = ends[right]!;
          if (end - start > longest) return -1;
          const piece = text.slice(start, end);
          const id = ids.get(piece) ?? -1;
          if (literal && id >= 0 && kinds[id] === pieceKind.userDefined) return -1;
          if (id >= 0 && kinds[id] === pieceKind.unused) splits?.set(piece, ends[left]! - start);
          return id;
        },
        merge(left, right) {
          ends[left] = ends[right]!;
        },
      });
      const result: string[] = [];
      for (let symbol = count > 0 ? 0 : -1; symbol >= 0; symbol = next[symbol]!) {
        result.push(text.slice(starts[symbol]!, ends[symbol]!));
      }
      return result;
    },

    write(symbol, splits) {
      const result: number[] = [];
      const pending = [symbol];
      for (let piece = pending.pop(); piece !== undefined; piece = pending.pop()) {
        const id = ids.get(piece);
        const split = id !== undefined && kinds[id] === pieceKind.unused ? splits?.get(piece) : undefined;
        if (split !== undefined) pending.push(piece.slice(split), piece.slice(0, split));
        else if (id !== undefined) result.push(id);
        else if (bytes) for (const byte of utf8Encode(piece)) result.push(byteToken(bytes, byte, piece));
        else if (unknown < 0) refuse(vocabulary.source, `the vocabulary has neither a piece nor bytes for "${piece}"`);
        else result.push(unknown);
      }
      return result;
    },
  };
}

function* named({ pieces, kinds, unreachable }: Vocabulary, wanted: number): Generator<[string, number]> {
  for (const [id, piece] of pieces.entries()) if (kinds[id] === wanted && !unreachable?.has(id)) yield [piece, id];
}
