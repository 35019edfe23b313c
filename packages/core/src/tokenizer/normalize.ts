// SentencePiece's preparation of text: characters are replaced by the model's map, spaces are counted and written as ▁.
// Names of user-defined pieces pass untouched, which is why the matcher takes part.

import type { Matcher } from "./match.ts";
import { type NormalizerSpec, spaceSymbol } from "./vocabulary.ts";

/** A function that prepares well-formed text. */
export function textNormalizer(spec: NormalizerSpec, userDefined: Matcher | undefined): (text: string) => string {
  const space = spec.escapeWhitespaces ? spaceSymbol : " ";
  const prefix = spec.addDummyPrefix ? space : "";
  const escaped = (text: string): string => (spec.escapeWhitespaces ? text.replaceAll(" ", space) : text);

  // Nearly all Llamas: nothing is replaced or removed.
  if (!spec.removeExtraWhitespaces && spec.charsmap === undefined) {
    return (text) => (text === "" ? "" : prefix + escaped(text));
  }

  return (text) => {
    let result = spec.removeExtraWhitespaces || text === "" ? "" : prefix;
    let afterSpace = true; // spaces here are extra: at the start, and after another
    for (const part of replaced(text, spec, userDefined)) {
      const kept: string = spec.removeExtraWhitespaces && afterSpace ? part.replace(/^ +/, "") : part;
      if (kept === "") continue;
      result += (result === "" ? prefix : "") + escaped(kept);
      afterSpace = kept.endsWith(" ");
    }
    if (!spec.removeExtraWhitespaces) return result;
    let end = result.length;
    while (end > 0 && result.startsWith(space, end - 1)) end--;
    return result.slice(0, end);
  };
}

/** The text in parts: names of user-defined pieces, replacements, and single characters. */
function* replaced(text: string, { charsmap }: NormalizerSpec, userDefined: Matcher | undefined): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const name = userDefined?.at(text, at) ?? -1;
    const replacement = name < 0 ? charsmap?.longest(text, at) : undefined;
    const length = replacement?.length ?? (name < 0 ? characterLength(text, at) : userDefined!.length(name));
    yield replacement?.text ?? text.slice(at, at + length);
    at += length;
  }
}

/** UTF-16 units of the character at a place of well-formed text. */
export function characterLength(text: string, at: number): number {
  return text.codePointAt(at)! > 0xffff ? 2 : 1;
}
