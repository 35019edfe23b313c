// Marks within text: a character that nothing else contains, put beside every character of the messages before
// rendering, so that it is known of each character that comes out whether it is the template's or a message's.
// Templates are to behave as if there were no marks: whatever looks into a text looks into it without them, and cuts
// the text with them at the places found.

import { spend } from "./budget.ts";

let mark: string | undefined;

/** The character that is a mark during the rendering that follows. */
export function setMark(character: string | undefined): void {
  mark = character;
  known = undefined;
}

export function unmarked(text: string): string {
  return mark !== undefined && text.includes(mark) ? text.replaceAll(mark, "") : text;
}

/**
 * How many characters without marks lie between the places that are kept: a list of all would be longer than the text.
 */
const stride = 64;

/**
 * Of the text that was cut last, as a text is often cut many times: its units that are no marks, and where every 64th
 * of them is.
 */
let known: { readonly text: string; readonly length: number; readonly places: Int32Array } | undefined;

function placesOf(text: string): NonNullable<typeof known> {
  if (known?.text === text) return known;
  const places = new Int32Array(Math.ceil(text.length / stride));
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== mark && length++ % stride === 0) places[(length - 1) / stride] = at;
  }
  known = { text, length, places };
  return known;
}

/** The part of a text between two places of the same text without marks; marks at its ends belong to it. */
export function part(text: string, start: number, end: number): string {
  if (mark === undefined || !text.includes(mark)) return text.slice(start, end);
  const { length, places } = placesOf(text);
  const last = Math.min(end, length);
  if (start >= last) return "";
  const placeOf = (unit: number): number => {
    let at = places[Math.floor(unit / stride)]!;
    for (let left = unit % stride; left > 0; left--)
      do at++;
      while (text[at] === mark);
    return at;
  };
  return text.slice(start === 0 ? 0 : placeOf(start - 1) + 1, last === length ? text.length : placeOf(last));
}

/** The characters of a text, each with the marks around it, as a list that is counted. */
export function characters(text: string): string[] {
  spend(2 * text.length);
  const plain = unmarked(text);
  if (plain === text) return Array.from(text);
  const result: string[] = [];
  let at = 0;
  for (const character of plain) {
    result.push(part(text, at, at + character.length));
    at += character.length;
  }
  return result;
}

/** A text that was changed from left to right, marks where they were. */
export function changed(text: string, change: (plain: string) => string): string {
  const plain = unmarked(text);
  const result = change(plain);
  if (plain === text || mark === undefined) return result;
  const moved = plain.length === result.length ? (place: number): number => place : movedPlaces(plain, change);
  const parts: string[] = [];
  let place = 0; // in the text without marks
  let done = 0; // of the result
  for (const unit of text) {
    if (unit !== mark) {
      place += unit.length;
      continue;
    }
    const end = moved(place);
    parts.push(result.slice(done, end), mark);
    done = end;
  }
  parts.push(result.slice(done));
  return parts.join("");
}

/**
 * How long what a text changes into is up to a place, asked from left to right. Most characters change into as many
 * wherever they are; the beginning is only changed where one does not.
 */
function movedPlaces(plain: string, change: (plain: string) => string): (place: number) => number {
  let at = 0;
  let length = 0;
  return (place) => {
    while (at < place) {
      const character = String.fromCodePoint(plain.codePointAt(at)!);
      at += character.length;
      const alone = change(character).length;
      const within = change(`a${character}`).length - 1;
      if (alone !== within) spend(at / 1024);
      length = alone === within ? length + alone : change(plain.slice(0, at)).length;
    }
    return length;
  };
}
