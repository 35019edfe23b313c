// Places in texts: characters as templates count them, and UTF-16 units of the text without marks, as the other files
// here do.

import { fail } from "./budget.ts";
import { typeName, type Value } from "./values.ts";

/** A value as a text. @throws {TemplateError} */
export function text(value: Value, what: string): string {
  return typeof value === "string" ? value : fail(`${what} must be str, not ${typeName(value)}`);
}

/** A value as an integer. @throws {TemplateError} */
export function whole(value: Value, what: string): number {
  if (typeof value === "boolean") return Number(value);
  return typeof value === "number" ? value : fail(`${what} must be an integer, not ${typeName(value)}`);
}

export const countCharacters = (plain: string): number => {
  let count = 0;
  for (const _ of plain) count++;
  return count;
};

/** The UTF-16 place of the character of that number, or the text's end. */
export function unitOf(plain: string, place: number): number {
  let unit = 0;
  for (const character of plain) {
    if (place-- === 0) break;
    unit += character.length;
  }
  return unit;
}

/** The UTF-16 place of a character's place, both ends as Python's slices take them. */
export function unitsOf(plain: string, start: Value, end: Value): [number, number] {
  if (start === null && end === null) return [0, plain.length];
  const length = countCharacters(plain);
  const clamp = (place: number): number => Math.min(Math.max(place < 0 ? length + place : place, 0), length);
  return [
    start === null ? 0 : unitOf(plain, clamp(whole(start, "start"))),
    end === null ? plain.length : unitOf(plain, clamp(whole(end, "end"))),
  ];
}

export function firstCharacter(text: string): string {
  return text === "" ? "" : String.fromCodePoint(text.codePointAt(0)!);
}
