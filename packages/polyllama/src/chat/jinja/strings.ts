// The methods of Python's `str`, by name, with their arguments.

import { bind } from "./bind.ts";
import { fail, joinTexts, made, room, spend, unsupported } from "./budget.ts";
import { formatMethod } from "./format.ts";
import { allOf, capitalize, every, isLower, isUpper, title } from "./letters.ts";
import { changed, part, unmarked } from "./marks.ts";
import { beginsOrEnds, find, replace, split, splitLines, strip } from "./parts.ts";
import { countCharacters, text, unitsOf, whole } from "./places.ts";
import { isSpace } from "./space.ts";
import { type Arguments, Callable, iterate, Tuple, type Value } from "./values.ts";

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
