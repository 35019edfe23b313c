// Lines of a corpus as the words that pieces are found in. A word ends where no piece may go on: before a space,
// between two scripts, beside a digit where digits are split, at names of tokens, and at characters that are too rare
// to be covered. Equal words are kept once with their number, so memory grows with what is new in a corpus, not with
// its length. Source: github.com/google/sentencepiece, src/trainer_interface.cc.

import { cutAtNames, type NormalizerSpec, nameMatcher, spaceSymbol, textNormalizer, wellFormed } from "@polyllama/core";
import { scriptOf } from "./scripts.ts";

export interface CorpusRules {
  readonly normalizer: NormalizerSpec;
  /** Names of tokens, which are never part of a piece. */
  readonly reserved: readonly string[];
  readonly splitDigits: boolean;
  readonly splitByNumber: boolean;
  readonly splitByUnicodeScript: boolean;
  readonly allowWhitespaceOnlyPieces: boolean;
  /** Bytes; longer lines are skipped. */
  readonly maxLineBytes: number;
}

export interface Corpus {
  /** @returns false when the line was skipped as too long, or because it holds SentencePiece's own mark U+2585. */
  add(line: string): boolean;
  /** Characters that are needed to cover this share of the text, the most frequent first, with their numbers. */
  characters(coverage: number): ReadonlyMap<number, number>;
  /** Words, each with its number. */
  readonly words: ReadonlyMap<string, number>;
}

const encoder = new TextEncoder();
const space = spaceSymbol.codePointAt(0)!;
const unknownMark = "\u2585"; // stands for uncovered characters in SentencePiece's trainer
const boundary = 0x09; // SentencePiece puts it in place of tokens' names, and passes over it in text, too
const anyScript = 255;

export function createCorpus(rules: CorpusRules): Corpus {
  const { splitDigits, splitByNumber, splitByUnicodeScript, allowWhitespaceOnlyPieces } = rules;
  const normalize = textNormalizer(rules.normalizer, undefined);
  const reserved = nameMatcher(rules.reserved.map((name, id) => [name, id]));
  const scripts = new Uint8Array(0x110000); // 0 where it was not asked for yet
  const counts = new Float64Array(0x110000);
  const words = new Map<string, number>();

  const script = (code: number): number => {
    if (!splitByUnicodeScript || (!splitByNumber && isDigit(code))) return anyScript;
    scripts[code] ||= scriptOf(code);
    return scripts[code]!;
  };
  /** Whether a piece may hold these two side by side. */
  const together = (left: number, right: number): boolean => {
    if (left === boundary || right === boundary || left === 0 || right === 0) return false;
    if (splitDigits && (isDigit(left) || isDigit(right))) return false;
    if (right === space) return allowWhitespaceOnlyPieces && left === space;
    if (left === space) return true;
    const [a, b] = [script(left), script(right)];
    return a === b || a === anyScript || b === anyScript;
  };
  const addWord = (word: string): void => {
    words.set(word, (words.get(word) ?? 0) + 1);
  };

  return {
    words,
    add(line) {
      if (3 * line.length > rules.maxLineBytes && encoder.encode(line).length > rules.maxLineBytes) return false;
      if (line.includes(unknownMark)) return false;
      const normalized = normalize(wellFormed(line));
      const text = cutAtNames(normalized, reserved)
        .map((section) => (section.id === undefined ? section.text : String.fromCharCode(boundary)))
        .join("");
      let left = boundary;
      let start = 0;
      for (let at = 0; at < text.length; ) {
        const code = text.codePointAt(at)!;
        if (code !== boundary && code !== 0) counts[code]!++;
        if (at > start && !together(left, code)) {
          addWord(text.slice(start, at));
          start = at;
        }
        left = code;
        at += code > 0xffff ? 2 : 1;
      }
      if (start < text.length) addWord(text.slice(start));
      return true;
    },
    characters(coverage) {
      const found: [number, number][] = [];
      let total = 0;
      for (const [code, count] of counts.entries()) {
        if (count === 0) continue;
        found.push([code, count]);
        total += count;
      }
      found.sort(([a, more], [b, less]) => less - more || a - b);
      let covered = 0;
      const end = found.findIndex(([, count]) => {
        if (Math.fround(covered / total) >= Math.fround(coverage)) return true;
        covered += count;
        return false;
      });
      return new Map(end < 0 ? found : found.slice(0, end));
    },
  };
}

/** The digits that SentencePiece's `split_digits` means. */
function isDigit(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0xff10 && code <= 0xff19);
}
