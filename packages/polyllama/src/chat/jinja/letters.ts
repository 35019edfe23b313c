// Upper, lower and title case as Python has them, and questions about all letters of a text.

import { spend } from "./budget.ts";
import { firstCharacter } from "./places.ts";

/**
 * The first letter of a word as it stands in titles: where that is not the capital letter, by the Unicode Character
 * Database.
 */
function titleLetter(letter: string): string {
  const own = [/[Ǆ-ǆ]/, /[Ǉ-ǉ]/, /[Ǌ-ǌ]/, /[Ǳ-ǳ]/].findIndex((pattern) => pattern.test(letter));
  if (own >= 0) return "ǅǈǋǲ".charAt(own);
  if (/[\u10d0-\u10ff]/.test(letter)) return letter;
  const [first = "", ...rest] = letter.toUpperCase();
  return first + rest.join("").toLowerCase();
}

export function capitalize(plain: string): string {
  const first = firstCharacter(plain);
  return titleLetter(first) + plain.slice(first.length).toLowerCase();
}

export function title(plain: string): string {
  spend(plain.length);
  let result = "";
  let inWord = false;
  for (const character of plain) {
    result += inWord ? character.toLowerCase() : titleLetter(character);
    inWord = /\p{Cased}/u.test(character);
  }
  return result;
}

export function every(plain: string, holds: (character: string) => boolean): boolean {
  for (const character of plain) if (!holds(character)) return false;
  return plain !== "";
}

export const allOf =
  (pattern: RegExp) =>
  (plain: string): boolean =>
    every(plain, (character) => pattern.test(character));
const hasCase = (plain: string): boolean => /\p{Cased}/u.test(plain);
export const isUpper = (plain: string): boolean => hasCase(plain) && plain.toUpperCase() === plain;
export const isLower = (plain: string): boolean => hasCase(plain) && plain.toLowerCase() === plain;
