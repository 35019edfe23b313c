// The methods of Python's `str`. Places in a text are counted in characters where a template sees them, and in UTF-16 units of the
// text without marks within this file.

import { bind } from "./bind.ts";
import { fail, joinTexts, made, room, spend, unsupported } from "./budget.ts";
import { formatMethod } from "./format.ts";
import { changed, part, unmarked } from "./marks.ts";
import { isSpace, lineEnd, spaceRun } from "./space.ts";
import { type Arguments, Callable, iterate, Tuple, typeName, type Value } from "./values.ts";

function text(value: Value, what: string): string {
  return typeof value === "string" ? value : fail(`${what} must be str, not ${typeName(value)}`);
}

function whole(value: Value, what: string): number {
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
function unitsOf(plain: string, start: Value, end: Value): [number, number] {
  if (start === null && end === null) return [0, plain.length];
  const length = countCharacters(plain);
  const clamp = (place: number): number => Math.min(Math.max(place < 0 ? length + place : place, 0), length);
  return [
    start === null ? 0 : unitOf(plain, clamp(whole(start, "start"))),
    end === null ? plain.length : unitOf(plain, clamp(whole(end, "end"))),
  ];
}

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

function split(given: string, separator: Value, most: number, fromRight: boolean): Value[] {
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
function beginsOrEnds(given: string, affix: Value, start: Value, end: Value, atEnd: boolean): boolean {
  const plain = unmarked(given);
  const [first, last] = unitsOf(plain, start, end);
  const within = first > last ? undefined : plain.slice(first, last);
  return (affix instanceof Tuple ? affix.items : [affix]).some((entry) => {
    const wanted = unmarked(text(entry, "an affix"));
    return within !== undefined && (atEnd ? within.endsWith(wanted) : within.startsWith(wanted));
  });
}

function find(given: string, wanted: Value, start: Value, end: Value, last: boolean): number {
  const plain = unmarked(given);
  const [first, stop] = unitsOf(plain, start, end);
  const within = plain.slice(0, stop);
  const what = unmarked(text(wanted, "what is looked for"));
  const at = last ? within.lastIndexOf(what) : within.indexOf(what, first);
  return at < first || first > stop ? -1 : countCharacters(plain.slice(0, at));
}

/** The first letter of a word as it stands in titles: where that is not the capital letter, by the Unicode Character Database. */
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

export function firstCharacter(text: string): string {
  return text === "" ? "" : String.fromCodePoint(text.codePointAt(0)!);
}

function title(plain: string): string {
  spend(plain.length);
  let result = "";
  let inWord = false;
  for (const character of plain) {
    result += inWord ? character.toLowerCase() : titleLetter(character);
    inWord = /\p{Cased}/u.test(character);
  }
  return result;
}

function every(plain: string, holds: (character: string) => boolean): boolean {
  for (const character of plain) if (!holds(character)) return false;
  return plain !== "";
}

const allOf =
  (pattern: RegExp) =>
  (plain: string): boolean =>
    every(plain, (character) => pattern.test(character));
const hasCase = (plain: string): boolean => /\p{Cased}/u.test(plain);
export const isUpper = (plain: string): boolean => hasCase(plain) && plain.toUpperCase() === plain;
export const isLower = (plain: string): boolean => hasCase(plain) && plain.toLowerCase() === plain;

type Method = (given: string, args: Arguments) => Value;

const stripping =
  (left: boolean, right: boolean): Method =>
  (given, args) => {
    const [characters] = bind("strip", ["chars"], args, [null]);
    return strip(given, characters === null ? undefined : text(characters, "chars"), left, right);
  };
const splitting =
  (fromRight: boolean): Method =>
  (given, args) => {
    const [separator, most] = bind("split", ["sep", "maxsplit"], args, [null, -1]);
    return split(given, separator, whole(most, "maxsplit"), fromRight);
  };
const affixed =
  (atEnd: boolean): Method =>
  (given, args) => {
    const [affix, start, end] = bind("startswith", ["prefix", "start", "end"], args, [undefined, null, null]);
    return beginsOrEnds(given, affix, start, end, atEnd);
  };
const finding =
  (last: boolean, mustBe: boolean): Method =>
  (given, args) => {
    const [wanted, start, end] = bind("find", ["sub", "start", "end"], args, [undefined, null, null]);
    const at = find(given, wanted, start, end, last);
    return at < 0 && mustBe ? fail("substring not found") : at;
  };
const asked =
  (question: (plain: string) => boolean): Method =>
  (given) => {
    spend(given.length);
    return question(unmarked(given));
  };
const recased =
  (change: (plain: string) => string): Method =>
  (given) =>
    made(changed(given, change));
const padding =
  (where: "left" | "right"): Method =>
  (given, args) => {
    const [width, fill] = bind("just", ["width", "fillchar"], args, [undefined, " "]);
    const missing = whole(width, "width") - countCharacters(unmarked(given));
    if (missing <= 0) return given;
    room(missing);
    const added = text(fill, "fillchar").repeat(missing);
    return made(where === "left" ? added + given : given + added);
  };
const parting =
  (last: boolean): Method =>
  (given, args) => {
    const [separator] = bind("partition", ["sep"], args, [undefined]);
    const plain = unmarked(given);
    const mark = unmarked(text(separator, "a separator"));
    if (mark === "") fail("empty separator");
    const at = last ? plain.lastIndexOf(mark) : plain.indexOf(mark);
    if (at < 0) return new Tuple(last ? ["", "", given] : [given, "", ""]);
    return new Tuple([part(given, 0, at), mark, part(given, at + mark.length, plain.length)]);
  };
const removing =
  (atEnd: boolean): Method =>
  (given, args) => {
    const [affix] = bind("removeprefix", ["affix"], args, [undefined]);
    const plain = unmarked(given);
    const wanted = unmarked(text(affix, "an affix"));
    if (atEnd) return wanted !== "" && plain.endsWith(wanted) ? part(given, 0, plain.length - wanted.length) : given;
    return plain.startsWith(wanted) ? part(given, wanted.length, plain.length) : given;
  };

const methods: Readonly<Record<string, Method>> = {
  capitalize: recased(capitalize),
  count(given, args) {
    const [wanted, start, end] = bind("count", ["sub", "start", "end"], args, [undefined, null, null]);
    const plain = unmarked(given);
    const [first, last] = unitsOf(plain, start, end);
    const within = plain.slice(first, last);
    const what = unmarked(text(wanted, "what is counted"));
    if (what === "") return first > last ? 0 : countCharacters(within) + 1;
    let count = 0;
    for (let at = within.indexOf(what); at >= 0; at = within.indexOf(what, at + what.length)) count++;
    return count;
  },
  endswith: affixed(true),
  find: finding(false, false),
  format: formatMethod,
  index: finding(false, true),
  isalnum: asked(allOf(/[\p{L}\p{N}]/u)),
  isalpha: asked(allOf(/\p{L}/u)),
  isdecimal: asked(allOf(/\p{Nd}/u)),
  isdigit: asked(allOf(/[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089]/u)),
  islower: asked(isLower),
  isspace: asked((plain) => every(plain, isSpace)),
  isupper: asked(isUpper),
  join(given, args) {
    const [items] = bind("join", ["iterable"], args, [undefined]);
    const texts = iterate(items).map((item) => text(item, "an item of join"));
    return joinTexts(texts, given);
  },
  ljust: padding("right"),
  lower: recased((plain) => plain.toLowerCase()),
  lstrip: stripping(true, false),
  partition: parting(false),
  removeprefix: removing(false),
  removesuffix: removing(true),
  replace(given, args) {
    const [from, to, count] = bind("replace", ["old", "new", "count"], args, [undefined, undefined, -1]);
    return replace(given, text(from, "old"), text(to, "new"), whole(count, "count"));
  },
  rfind: finding(true, false),
  rindex: finding(true, true),
  rjust: padding("left"),
  rpartition: parting(true),
  rsplit: splitting(true),
  rstrip: stripping(false, true),
  split: splitting(false),
  splitlines(given, args) {
    const [keep] = bind("splitlines", ["keepends"], args, [false]);
    return splitLines(given, keep === true);
  },
  startswith: affixed(false),
  strip: stripping(true, true),
  title: recased(title),
  upper: recased((plain) => plain.toUpperCase()),
  zfill(given, args) {
    const [width] = bind("zfill", ["width"], args, [undefined]);
    const plain = unmarked(given);
    const zeros = Math.max(0, whole(width, "width") - countCharacters(plain));
    room(zeros);
    const signed = /^[+-]/.test(plain) ? 1 : 0;
    return made(part(given, 0, signed) + "0".repeat(zeros) + part(given, signed, plain.length));
  },
};

const unknownMethods = [
  ...["casefold", "center", "encode", "expandtabs", "format_map", "isascii", "isidentifier", "isnumeric"],
  ...["isprintable", "istitle", "maketrans", "swapcase", "translate"],
];

/** A method of a text, or undefined where Python has none of that name. */
export function stringMethod(given: string, name: string): Callable | undefined {
  if (unknownMethods.includes(name)) return unsupported(`the method ${name} of a text`);
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method === undefined) return undefined;
  spend(1 + given.length / 16);
  return new Callable(name, (args) => method(given, args));
}
