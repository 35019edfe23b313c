// Tokens to text as they come, by SentencePiece's rules: ▁ is a space; the space that encoding put in front of the text
// is taken away; bytes collect until they are a character. Control tokens show nothing, and a byte sequence does not
// continue across one.

import type { StreamDecoder } from "./tokenizer.ts";
import { utf8Stream } from "./utf8.ts";
import { byteOfPiece, kind, spaceSymbol, type Vocabulary } from "./vocabulary.ts";

/**
 * @param special Show control tokens by name. Their names do not count as text when it comes to the leading space.
 * @param continuing There is text before, so that a leading space is kept.
 */
export function scoreDecoder(
  { pieces, kinds, unknownText, normalizer }: Vocabulary,
  special: boolean,
  continuing: boolean,
): StreamDecoder {
  const { addDummyPrefix, removeExtraWhitespaces } = normalizer;
  const bytes = utf8Stream();
  let atStart = !continuing && (addDummyPrefix || removeExtraWhitespaces);

  const show = (id: number): string => {
    const piece = pieces[id]!;
    if (kinds[id] === kind.control) return special ? piece : "";
    if (kinds[id] === kind.unknown) {
      atStart = false;
      return unknownText;
    }
    let text = piece;
    if (atStart && text.startsWith(spaceSymbol)) {
      text = text.slice(1);
      atStart = removeExtraWhitespaces; // then every piece loses one until there is text
    }
    if (text !== "") atStart = false;
    return text.replaceAll(spaceSymbol, " ");
  };

  return {
    push(id) {
      if (kinds[id] !== kind.byte) return bytes.flush() + show(id);
      atStart = false;
      return bytes.push(byteOfPiece(pieces[id]!));
    },
    end: bytes.flush,
  };
}
