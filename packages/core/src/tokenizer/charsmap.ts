// SentencePiece's precompiled character map, by which some models normalize text (nmt_nfkc, for instance). It is a trie
// in the layout of the darts-clone library, u32 units, over UTF-8 bytes, followed by the replacements as NUL-terminated
// strings; the value of a key is the offset of its replacement.
//
// A unit holds a label in bits 0-7, whether a value hangs on it in bit 8, and in bits 10-31 the offset to its children,
// shifted by 8 more where bit 9 is set. A unit with bit 31 set is a value and matches no label.

import { refuse } from "./assemble.ts";
import { utf8Decode, utf8Encode } from "./utf8.ts";

export interface Replacement {
  /** UTF-16 units that are replaced. */
  readonly length: number;
  /** What stands for them. */
  readonly text: string;
}

export interface Charsmap {
  /** As files store it. */
  readonly bytes: Uint8Array;
  /** The replacement of the longest key that stands at `at`, if there is one. */
  longest(text: string, at: number): Replacement | undefined;
}

/** Bytes; Unicode's own longest is 33, and a damaged map must not make a book of a letter. */
const longestReplacement = 1024;

/** @throws {PolyllamaError} `ERR_TOKENIZER` when the map is damaged. */
export function readCharsmap(blob: Uint8Array, source: string): Charsmap {
  const broken = (problem: string): never => refuse(source, `precompiled_charsmap ${problem}`);
  if (blob.length < 4) broken("is cut short");
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const trieBytes = view.getUint32(0, true);
  if (trieBytes < 4 || trieBytes % 4 !== 0 || 4 + trieBytes > blob.length) {
    broken(`declares a trie of ${trieBytes} bytes within ${blob.length}`);
  }
  const units = new Uint32Array(trieBytes / 4).map((_, i) => view.getUint32(4 + 4 * i, true));
  const strings = blob.subarray(4 + trieBytes);
  const replacements = new Map<number, string>();

  const unit = (index: number): number => units[index] ?? broken(`leads to the unit ${index} of ${units.length}`);
  const children = (of: number): number => (of >>> 10) << ((of & 0x200) >>> 6);
  const replacementAt = (offset: number): string => {
    const known = replacements.get(offset);
    if (known !== undefined) return known;
    const end = strings.indexOf(0, offset);
    if (offset > strings.length || end < 0) broken(`has no string at ${offset}`);
    if (end - offset > longestReplacement) broken(`has a string of ${end - offset} bytes at ${offset}`);
    const text = utf8Decode(strings.subarray(offset, end)) ?? broken(`has a string at ${offset} that is not UTF-8`);
    replacements.set(offset, text);
    return text;
  };

  const replace = ({ length, value }: { length: number; value: number }): Replacement => ({
    length,
    text: replacementAt(value),
  });

  return {
    bytes: blob,
    longest(text, at) {
      let found: { length: number; value: number } | undefined;
      let node = children(unit(0));
      for (let end = at; end < text.length; ) {
        const character = String.fromCodePoint(text.codePointAt(end)!);
        let here = 0;
        for (const byte of utf8Encode(character)) {
          node ^= byte;
          here = unit(node);
          if ((here & 0x800000ff) !== byte) return found && replace(found);
          node ^= children(here);
        }
        end += character.length;
        if ((here & 0x100) !== 0) found = { length: end - at, value: unit(node) & 0x7fffffff };
      }
      return found && replace(found);
    },
  };
}
