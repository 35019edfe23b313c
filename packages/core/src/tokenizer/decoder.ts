// Tokens to text as they come, by SentencePiece's rules: ▁ is a space; the space that encoding put in front of the text
// is taken away; bytes collect until they are a character. Control tokens show nothing, and a byte sequence does not
// continue across one. What each token shows is worked out once.

import type { StreamDecoder } from "./tokenizer.ts";
import { utf8Stream } from "./utf8.ts";
import { byteOfPiece, kind, spaceSymbol, type Vocabulary } from "./vocabulary.ts";

/**
 * Makes decoders of valid ids.
 *
 * `special`: show control tokens by name. Their names do not count as text when it comes to the leading space.
 * `continuing`: there is text before, so that a leading space is kept.
 */
export function scoreDecoder({
  pieces,
  kinds,
  unknownText,
  normalizer,
}: Vocabulary): (special: boolean, continuing: boolean) => StreamDecoder {
  const { addDummyPrefix, removeExtraWhitespaces } = normalizer;
  // By id: the byte that a piece stands for, or what else it is.
  const text = -1;
  const special = -2; // control or unknown
  const codes = Int16Array.from(pieces, (piece, id) => {
    const type = kinds[id];
    if (type === kind.byte) return byteOfPiece(piece);
    return type === kind.control || type === kind.unknown ? special : text;
  });
  const texts = pieces.map((piece) => piece.replaceAll(spaceSymbol, " "));

  return (showControl, continuing) => {
    const bytes = utf8Stream();
    let atStart = !continuing && (addDummyPrefix || removeExtraWhitespaces);

    const showSpecial = (id: number): string => {
      if (kinds[id] === kind.control) return showControl ? pieces[id]! : "";
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
}
