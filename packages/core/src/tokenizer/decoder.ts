// Tokens to text as they come, by SentencePiece's rules: ▁ is a space; the space that encoding put in front of the text
// is taken away; bytes collect until they are a character. Control tokens show nothing, and a byte sequence does not
// continue across one. What each token shows is worked out once. Whole texts take a shortcut: unless
// there is something rare in them, tokens are UTF-16 units copied into one array, without a string for each.

import type { StreamDecoder } from "./tokenizer.ts";
import { isLegal, utf8Length, utf8Stream } from "./utf8.ts";
import { byteOfPiece, pieceKind, spaceSymbol, type Vocabulary } from "./vocabulary.ts";

/**
 * Decoders of valid ids.
 *
 * `special`: show control tokens by name. Their names do not count as text when it comes to the leading space.
 * `continuing`: there is text before, so that a leading space is kept.
 */
export interface ScoreDecoder {
  decoder(special: boolean, continuing: boolean): StreamDecoder;
  /** The same of all tokens at once. */
  decodeAll(ids: readonly number[], special: boolean, continuing: boolean): string;
}

export function scoreDecoder({ pieces, kinds, unknownText, normalizer }: Vocabulary): ScoreDecoder {
  const { addDummyPrefix, removeExtraWhitespaces } = normalizer;
  // By id: the byte that a piece stands for, or what else it is.
  const text = -1;
  const special = -2; // control or unknown
  const codes = Int16Array.from(pieces, (piece, id) => {
    const type = kinds[id];
    if (type === pieceKind.byte) return byteOfPiece(piece);
    return type === pieceKind.control || type === pieceKind.unknown ? special : text;
  });
  const texts = pieces.map((piece) => piece.replaceAll(spaceSymbol, " "));

  const stream = (showControl: boolean, continuing: boolean): StreamDecoder => {
    const bytes = utf8Stream();
    let atStart = !continuing && (addDummyPrefix || removeExtraWhitespaces);

    const showSpecial = (id: number): string => {
      if (kinds[id] === pieceKind.control) return showControl ? pieces[id]! : "";
      atStart = false;
      return unknownText;
    };
    const showFirst = (id: number): string => {
      const spaced = pieces[id]!.startsWith(spaceSymbol);
      const rest = spaced ? texts[id]!.slice(1) : texts[id]!;
      atStart = rest === "" && removeExtraWhitespaces; // then every piece loses one until there is text
      return rest;
    };

    return {
      push(id) {
        const code = codes[id]!;
        if (code >= 0) {
          atStart = false;
          return bytes.push(code);
        }
        const shown = code === special ? showSpecial(id) : atStart ? showFirst(id) : texts[id]!;
        return bytes.waiting() ? bytes.flush() + shown : shown;
      },
      end: bytes.flush,
    };
  };

  const { units, starts } = flatten(texts);
  /** Kept between texts: an array that grows anew for each takes half of the time. */
  const scratch: number[] = [];
  /** By way of the stream. */
  const runStream = (ids: readonly number[], showControl: boolean, continuing: boolean): string => {
    const { push, end } = stream(showControl, continuing);
    return ids.map(push).join("") + end();
  };
  return {
    decoder: stream,
    decodeAll(ids, showControl, continuing) {
      let shown = 0;
      let atStart = !continuing && (addDummyPrefix || removeExtraWhitespaces);
      for (let at = 0; at < ids.length; at++) {
        const id = ids[at]!;
        const code = codes[id]!;
        if (code === text) {
          let from = starts[id]!;
          if (atStart) {
            if (pieces[id]!.startsWith(spaceSymbol)) from++;
            atStart = from === starts[id + 1] && removeExtraWhitespaces;
          }
          const end = starts[id + 1]!;
          while (from < end) scratch[shown++] = units[from++]!;
        } else if (code >= 0) {
          const length = utf8Length(code);
          let point = length === 1 ? code : code & (0x7f >> length);
          for (let next = 1; next < length; next++) {
            const byte = codes[ids[at + next]!] ?? special;
            if (byte < 0 || (byte & 0xc0) !== 0x80) return runStream(ids, showControl, continuing);
            point = (point << 6) | (byte & 0x3f);
          }
          if (length === 0 || !isLegal(point, length)) return runStream(ids, showControl, continuing);
          if (point > 0xffff) {
            scratch[shown++] = 0xd800 + ((point - 0x10000) >> 10);
            scratch[shown++] = 0xdc00 + (point & 0x3ff);
          } else scratch[shown++] = point;
          at += length - 1;
          atStart = false;
        } else if (showControl || kinds[id] !== pieceKind.control) return runStream(ids, showControl, continuing);
      }
      const result = fromUnits(scratch, shown);
      if (shown > most) scratch.length = most; // what a long text took is given back
      return result;
    },
  };
}

/** UTF-16 units of all texts, one behind another, and where each starts; the last start is the end. */
function flatten(texts: readonly string[]): { readonly units: Uint16Array; readonly starts: Uint32Array } {
  const starts = new Uint32Array(texts.length + 1);
  texts.forEach((text, i) => {
    starts[i + 1] = starts[i]! + text.length;
  });
  const units = new Uint16Array(starts[texts.length]!);
  texts.forEach((text, i) => {
    for (let at = 0; at < text.length; at++) units[starts[i]! + at] = text.charCodeAt(at);
  });
  return { units, starts };
}

/** Units that `String.fromCharCode` takes at once; many more would not fit the stack. */
const most = 8192;

function fromUnits(units: readonly number[], length: number): string {
  if (length <= most) return String.fromCharCode.apply(null, units.slice(0, length));
  const parts: string[] = [];
  for (let start = 0; start < length; start += most) {
    parts.push(String.fromCharCode.apply(null, units.slice(start, Math.min(start + most, length))));
  }
  return parts.join("");
}
