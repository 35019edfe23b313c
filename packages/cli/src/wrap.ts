// Text that comes piece by piece, broken at a terminal's width between words. Chinese and Japanese break between any
// two characters, except that closing punctuation does not begin a line and opening punctuation does not end one. A
// word is held back until its end is known.

import stringWidth from "string-width";

export interface Wrapper {
  /** The part of the text so far that can be written. */
  push(text: string): string;
  /** The rest. */
  end(): string;
}

interface Unit {
  readonly kind: "word" | "space" | "newline";
  text: string;
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const tabWidth = 8;
const closing = /^[\p{Pe}\p{Pf}\p{Po}ー〜…々]/u;
const opening = /[\p{Ps}\p{Pi}]$/u;

/** @param columns The terminal's width, asked anew for each word; unknown counts as 80. */
export function createWrapper(columns: () => number | undefined): Wrapper {
  let held = "";
  let spaces = "";
  let column = 0;

  const place = ({ kind, text }: Unit): string => {
    if (kind === "space") {
      for (const character of text) {
        const from = column + spaces.length;
        spaces += character === "\t" ? " ".repeat(tabWidth - (from % tabWidth)) : character;
      }
      return "";
    }
    const before = spaces;
    spaces = "";
    if (kind === "newline") {
      column = 0;
      return "\n";
    }
    const width = stringWidth(text);
    const most = columns() || 80;
    const at = column + stringWidth(before);
    if (at + width <= most) {
      column = at + width;
      return before + text;
    }
    const start = column === 0 ? "" : "\n";
    column = 0;
    return start + (width <= most ? whole(text, width) : cut(text, most));
  };
  const whole = (text: string, width: number): string => {
    column = width;
    return text;
  };
  const cut = (text: string, most: number): string => {
    let result = "";
    for (const { segment } of segmenter.segment(text)) {
      const width = stringWidth(segment);
      if (column + width > most) {
        result += "\n";
        column = 0;
      }
      result += segment;
      column += width;
    }
    return result;
  };

  return {
    push(text) {
      const units = unitsOf(held + text);
      // What follows may belong to the last one, except to the end of a line.
      held = units.at(-1)?.kind === "newline" ? "" : (units.pop()?.text ?? "");
      return units.map(place).join("");
    },
    end() {
      const rest = unitsOf(held).map(place).join("");
      held = "";
      spaces = "";
      return rest;
    },
  };
}

/** Words with their punctuation, runs of spaces, and ends of lines. A wide character is a word. */
function unitsOf(text: string): Unit[] {
  const units: Unit[] = [];
  for (const { segment } of segmenter.segment(text)) {
    const last = units.at(-1);
    if (/^\r?\n$/.test(segment)) units.push({ kind: "newline", text: "\n" });
    else if (/^[ \t]$/.test(segment)) {
      if (last?.kind === "space") last.text += segment;
      else units.push({ kind: "space", text: segment });
    } else if (last?.kind === "word" && staysWith(last.text, segment)) last.text += segment;
    else units.push({ kind: "word", text: segment });
  }
  return units;
}

function staysWith(word: string, next: string): boolean {
  if (closing.test(next) || opening.test(word)) return true;
  return !isWide(next) && !isWide([...word].at(-1) ?? "");
}

function isWide(character: string): boolean {
  return stringWidth(character) > 1;
}
