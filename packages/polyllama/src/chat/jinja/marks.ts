// Marks within text: a character that nothing else contains, put beside every character of the messages before rendering, so that it
// is known of each character that comes out whether it is the template's or a message's. Templates are to behave as if there
// were no marks: whatever looks into a text looks into it without them, and cuts the text with them at the places found.

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

/** Of the text that was cut last: where its characters without marks are; a text is often cut many times. */
let known: { readonly text: string; readonly places: Int32Array } | undefined;

function placesOf(text: string): Int32Array {
  if (known?.text === text) return known.places;
  const places = new Int32Array(text.length + 1);
  let count = 0;
  for (let at = 0; at < text.length; at++) if (text[at] !== mark) places[count++] = at;
  places[count] = text.length;
  known = { text, places: places.subarray(0, count + 1) };
  return known.places;
}

/** The part of a text between two places of the same text without marks; marks at its ends belong to it. */
export function part(text: string, start: number, end: number): string {
  if (mark === undefined || !text.includes(mark)) return text.slice(start, end);
  const places = placesOf(text);
  const last = Math.min(end, places.length - 1);
  if (start >= last) return "";
  return text.slice(start === 0 ? 0 : places[start - 1]! + 1, places[last]);
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
  const moved = plain.length === result.length ? undefined : movedPlaces(plain, change);
  const parts: string[] = [];
  let place = 0; // in the text without marks
  let done = 0; // of the result
  for (const unit of text) {
    if (unit !== mark) {
      place += unit.length;
      continue;
    }
    const end = moved?.[place] ?? place;
    parts.push(result.slice(done, end), mark);
    done = end;
  }
  parts.push(result.slice(done));
  return parts.join("");
}

/** By place of a text: how long what it changes into is. Most characters change into as many; the beginning is only changed where one may not. */
function movedPlaces(plain: string, change: (plain: string) => string): Int32Array {
  const moved = new Int32Array(plain.length + 1);
  let at = 0;
  let length = 0;
  for (const character of plain) {
    at += character.length;
    const simple =
      change(character).length === character.length && change(`a${character}`).length === 1 + character.length;
    length = simple ? length + character.length : change(plain.slice(0, at)).length;
    moved[at] = length;
    if (character.length === 2) moved[at - 1] = length;
  }
  return moved;
}
