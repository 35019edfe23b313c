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
  const byteOf = Int16Array.from(pieces, (piece, id) => (kinds[id] === kind.byte ? byteOfPiece(piece) : -1));
  const shown = pieces.map((piece, id) =>
    kinds[id] === kind.unknown ? unknownText : piece.replaceAll(spaceSymbol, " "),
  );

  return (special, continuing) => {
    const bytes = utf8Stream();
    let atStart = !continuing && (addDummyPrefix || removeExtraWhitespaces);

    const show = (id: number): string => {
      if (kinds[id] === kind.control) return special ? pieces[id]! : "";
      const text = shown[id]!;
      if (!atStart) return text;
      const spaced = kinds[id] !== kind.unknown && pieces[id]!.startsWith(spaceSymbol);
      const rest = spaced ? text.slice(1) : text;
      atStart = spaced && rest === "" && removeExtraWhitespaces; // then every piece loses one until there is text
      return rest;
    };

    return {
      push(id) {
        const byte = byteOf[id]!;
        if (byte < 0) return bytes.waiting() ? bytes.flush() + show(id) : show(id);
        atStart = false;
        return bytes.push(byte);
      },
      end: bytes.flush,
    };
  };
}
