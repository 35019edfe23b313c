// SentencePiece's BPE, from its published algorithm: the text is cut into characters and names of user-defined pieces,
// neighbours merge into the piece with the best score, leftmost first, and what has no piece in the end is written as
// bytes. Pieces marked unused take part in merging and are then split again the way they were last put together.
// Source: github.com/google/sentencepiece, src/bpe_model.cc, src/normalizer.cc and src/sentencepiece_processor.cc.

import { assemble, refuse } from "./assemble.ts";
import { scoreDecoder } from "./decoder.ts";
import { matcher, sections } from "./match.ts";
import { mergeSymbols } from "./merge.ts";
import { characterLength, normalizer } from "./normalize.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { utf8Encode } from "./utf8.ts";
import { byteTokens, checkVocabulary, kind, type Vocabulary } from "./vocabulary.ts";

/** @throws {PolyllamaError} `ERR_TOKENIZER` when the vocabulary is not sound. */
export function scoreTokenizer(vocabulary: Vocabulary): Tokenizer {
  checkVocabulary(vocabulary);
  const { source, pieces, kinds, bos, eos, addBos, addEos, chatTemplate } = vocabulary;
  const segmentText = segmenter(vocabulary);
  const controls = matcher(named(vocabulary, kind.control));

  return assemble({
    source,
    pieces,
    bos,
    eos,
    addBos,
    addEos,
    chatTemplate,
    isControl: (id) => kinds[id] === kind.control,
    segment(text, special) {
      if (!special) return segmentText(text);
      return sections(text, controls).flatMap(({ text, id }) => (id === undefined ? segmentText(text) : [id]));
    },
    decoder: (special, continuing) => scoreDecoder(vocabulary, special, continuing),
  });
}

/** A function from well-formed text to ids. */
function segmenter(vocabulary: Vocabulary): (text: string) => number[] {
  const { pieces, scores, kinds } = vocabulary;
  const userDefined = matcher(named(vocabulary, kind.userDefined));
  const normalize = normalizer(vocabulary.normalizer, userDefined);
  const bytes = vocabulary.byteFallback ? byteTokens(vocabulary) : undefined;
  const unknown = kinds.indexOf(kind.unknown);
  const ids = new Map<string, number>(); // pieces that text can become
  let longest = 0;
  for (const [id, piece] of pieces.entries()) {
    const type = kinds[id];
    if (type !== kind.normal && type !== kind.userDefined && type !== kind.unused) continue;
    ids.set(piece, id);
    longest = Math.max(longest, piece.length);
  }

  return (original) => {
    const text = normalize(original);
    const starts = new Int32Array(text.length); // by symbol, in UTF-16 units
    const ends = new Int32Array(text.length);
    const frozen = new Uint8Array(userDefined ? text.length : 0);
    let count = 0;
    for (let at = 0; at < text.length; count++) {
      const name = userDefined?.at(text, at) ?? -1;
      if (name >= 0) frozen[count] = 1;
      starts[count] = at;
      at += name < 0 ? characterLength(text, at) : userDefined!.length(name);
      ends[count] = at;
    }

    const splits = new Map<string, number>(); // by unused piece: where it was last put together
    const next = mergeSymbols(count, {
      priorities: scores,
      find(left, right) {
        if (frozen[left] || frozen[right]) return -1;
        const start = starts[left]!;
        const end = ends[right]!;
        if (end - start > longest) return -1;
        const piece = text.slice(start, end);
        const id = ids.get(piece) ?? -1;
        if (id >= 0 && kinds[id] === kind.unused) splits.set(piece, ends[left]! - start);
        return id;
      },
      merge(left, right) {
        ends[left] = ends[right]!;
      },
    });

    const result: number[] = [];
    let afterUnknown = false;
    const write = (symbol: string): void => {
      const pending = [symbol];
      for (let piece = pending.pop(); piece !== undefined; piece = pending.pop()) {
        const id = ids.get(piece);
        const split = id !== undefined && kinds[id] === kind.unused ? splits.get(piece) : undefined;
        if (split !== undefined) pending.push(piece.slice(split), piece.slice(0, split));
        else if (id !== undefined) result.push(id);
        else if (bytes) for (const byte of utf8Encode(piece)) result.push(bytes[byte]!);
        else if (unknown < 0) refuse(vocabulary.source, `the vocabulary has neither a piece nor bytes for "${piece}"`);
        else if (!afterUnknown) result.push(unknown); // a run of unknown pieces is one token
        afterUnknown = id === undefined;
      }
    };
    for (let symbol = count > 0 ? 0 : -1; symbol >= 0; symbol = next[symbol]!) {
      write(text.slice(starts[symbol]!, ends[symbol]!));
    }
    return result;
  };
}

function* named({ pieces, kinds }: Vocabulary, wanted: number): Generator<[string, number]> {
  for (const [id, piece] of pieces.entries()) if (kinds[id] === wanted) yield [piece, id];
}
