// Python's `str` methods that look for parts of a text and take it apart. Marks stay with their parts.

import { fail, joinTexts, spend } from "./budget.ts";
import { part, unmarked } from "./marks.ts";
import { countCharacters, firstCharacter, text, unitsOf } from "./places.ts";
import { isSpace, lineEnd, spaceRun } from "./space.ts";
import { Tuple, type Value } from "./values.ts";

export function strip(given: string, characters: string | undefined, left: boolean, right: boolean): string {
  const plain = unmarked(given);
  const set = characters === undefined ? undefined : new Set(unmarked(characters));
  const goes = (character: string): boolean => (set === undefined ? isSpace(character) : set.has(character));
  let start = 0;
  let end = plain.length;
  for (let at = start; left && at < end; start = at) {
    const first = firstCharacter(plain.slice(at, at + 2));
    if (!goes(first)) break;
    at += first.length;
  }
  for (let at = end; right && at > start; end = at) {
    const pair = plain.slice(Math.max(start, at - 2), at);
    const last = pair.codePointAt(0)! > 0xffff ? pair : pair.slice(-1); // of at least one unit
    if (!goes(last)) break;
    at -= last.length;
  }
  return part(given, start, end);
}

/** Counts a place that is found in a text, before it is kept with the part of the text before it. */
const found = (): void => spend(4);

export function splitLines(given: string, keepEnds: boolean): string[] {
  const plain = unmarked(given);
  const lines: string[] = [];
  let start = 0;
  for (const { 0: end, index } of plain.matchAll(lineEnd)) {
    found();
    lines.push(part(given, start, index + (keepEnds ? end.length : 0)));
    start = index + end.length;
  }
  if (start < plain.length) lines.push(part(given, start, plain.length));
  return lines;
}

export function replace(given: string, from: string, to: string, most: number): string {
  const plain = unmarked(given);
  const old = unmarked(from);
  const places: number[] = [];
  if (old === "") {
    spend(plain.length);
    let at = 0;
    for (const character of [...plain, ""]) {
      if (places.length === most) break;
      found();
      places.push(at);
      at += character.length;
    }
  } else {
    for (let at = plain.indexOf(old); at >= 0 && places.length !== most; at = plain.indexOf(old, at + old.length)) {
      found();
      places.push(at);
    }
  }
  const parts: string[] = [];
  let done = 0;
  for (const place of places) {
    parts.push(part(given, done, place));
    done = place + old.length;
  }
  parts.push(part(given, done, plain.length));
  return joinTexts(parts, to);
}

export function split(given: string, separator: Value, most: number, fromRight: boolean): Value[] {
  const plain = unmarked(given);
  const bounds: [number, number][] = []; // of what separates
  if (separator === null) {
    const start = plain.length - stripped(plain, true, false).length;
    const end = stripped(plain, false, true).length;
    if (start >= plain.length) return [];
    for (const { 0: run, index } of plain.matchAll(spaceRun)) {
      found();
      if (index >= start && index < end) bounds.push([index, index + run.length]);
    }
    const used =
      most < 0 ? bounds : fromRight ? bounds.slice(Math.max(0, bounds.length - most)) : bounds.slice(0, most);
    // What is beyond the last split keeps the white space at its far end.
    const all = most >= 0 && bounds.length >= most;
    return cut(given, used, all && fromRight ? 0 : start, all && !fromRight ? plain.length : end);
  }
  const mark = unmarked(text(separator, "a separator"));
  if (mark === "") fail("empty separator");
  if (fromRight) {
    for (let at = plain.lastIndexOf(mark); at >= 0 && bounds.length !== most; ) {
      found();
      bounds.push([at, at + mark.length]);
      at = at < mark.length ? -1 : plain.lastIndexOf(mark, at - mark.length);
    }
    bounds.reverse();
  } else {
    for (let at = plain.indexOf(mark); at >= 0 && bounds.length !== most; at = plain.indexOf(mark, at + mark.length)) {
      found();
      bounds.push([at, at + mark.length]);
    }
  }
  return cut(given, bounds, 0, plain.length);
}

const stripped = (plain: string, left: boolean, right: boolean): string => strip(plain, undefined, left, right);

function cut(given: string, bounds: readonly (readonly [number, number])[], start: number, end: number): Value[] {
  const result: Value[] = [];
  let from = start;
  for (const [first, last] of bounds) {
    result.push(part(given, from, first));
    from = last;
  }
  result.push(part(given, from, end));
  return result;
}

/** `startswith` and `endswith`. */
export function beginsOrEnds(given: string, affix: Value, start: Value, end: Value, atEnd: boolean): boolean {
  const plain = unmarked(given);
  const [first, last] = unitsOf(plain, start, end);
  const within = first > last ? undefined : plain.slice(first, last);
  return (affix instanceof Tuple ? affix.items : [affix]).some((entry) => {
    const wanted = unmarked(text(entry, "an affix"));
    return within !== undefined && (atEnd ? within.endsWith(wanted) : within.startsWith(wanted));
  });
}

export function find(given: string, wanted: Value, start: Value, end: Value, last: boolean): number {
  const plain = unmarked(given);
  const [first, stop] = unitsOf(plain, start, end);
  const within = plain.slice(0, stop);
  const what = unmarked(text(wanted, "what is looked for"));
  const at = last ? within.lastIndexOf(what) : within.indexOf(what, first);
  return at < first || first > stop ? -1 : countCharacters(plain.slice(0, at));
}
