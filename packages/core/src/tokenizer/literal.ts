// Places of a text that no token's name may span, so that what spells a name there stays text: ascending UTF-16
// offsets, each between two units.

import { PolyllamaError } from "../errors.ts";
import { checkNumber } from "../options.ts";

export type Places = readonly number[];

/** The option `literal` in ascending order. @throws {PolyllamaError} `ERR_OPTION` */
export function checkPlaces(literal: Places | undefined, text: string): Places {
  if (literal === undefined) return [];
  for (const place of literal) checkNumber(place, "a place of literal", { least: 0, most: text.length, integer: true });
  return [...literal].sort((a, b) => a - b);
}

/** Places strictly between two ends, counted from the first of them. */
export function placesWithin(places: Places, start: number, end: number): Places {
  if (places.length === 0) return places;
  let first = 0;
  for (let most = places.length; first < most; ) {
    const middle = (first + most) >>> 1;
    if (places[middle]! <= start) first = middle + 1;
    else most = middle;
  }
  const result: number[] = [];
  for (; first < places.length && places[first]! < end; first++) result.push(places[first]! - start);
  return result;
}

/**
 * What a change makes of a text, and where its places are then: it is shown the text with a character at each that it
 * does not know.
 */
export function changedWithPlaces(
  text: string,
  places: Places,
  change: (text: string) => string,
): { readonly text: string; readonly places: Places } {
  if (places.length === 0) return { text: change(text), places };
  const mark = unusedCharacter(text);
  if (mark === undefined) {
    throw new PolyllamaError("ERR_TOKENIZER", "The text has every noncharacter and every character for private use.");
  }
  const parts: string[] = [];
  let done = 0;
  for (const place of places) {
    parts.push(text.slice(done, place));
    done = place;
  }
  parts.push(text.slice(done));
  const changed = change(parts.join(mark)).split(mark);
  const moved: number[] = [];
  let length = 0;
  for (const part of changed.slice(0, -1)) {
    length += part.length;
    moved.push(length);
  }
  return { text: changed.join(""), places: moved };
}

/**
 * A character that a text does not have: a noncharacter, which no normalization changes, or else one for private use.
 */
export function unusedCharacter(text: string): string | undefined {
  const ranges = [
    [0xfdd0, 0xfdef],
    [0xe000, 0xf8ff],
  ] as const;
  for (const [first, last] of ranges) {
    for (let code = first; code <= last; code++) {
      const character = String.fromCharCode(code);
      if (!text.includes(character)) return character;
    }
  }
  return undefined;
}
