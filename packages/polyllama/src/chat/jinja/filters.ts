// Jinja's filters. Those that templates do not use are refused by name, so that none is passed over.
// Source: github.com/pallets/jinja, src/jinja2/filters.py; `tojson`: transformers,
// src/transformers/utils/chat_template_utils.py.

import { bind } from "./bind.ts";
import { fail, joinTexts, made, room, spend, unsupported } from "./budget.ts";
import { fixed, percentFormat } from "./format.ts";
import { capitalize } from "./letters.ts";
import { type Filter, getter, listFilters, rest } from "./list-filters.ts";
import { changed, unmarked } from "./marks.ts";
import { replace, splitLines, strip } from "./parts.ts";
import { countCharacters, firstCharacter } from "./places.ts";
import { number, toJson, toText } from "./print.ts";
import { spaceCharacters } from "./space.ts";
import {
  type Arguments,
  Float,
  Generator,
  isTrue,
  iterate,
  numeric,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

const length: Filter = (value) => {
  if (typeof value === "string") return countCharacters(unmarked(value));
  if (Array.isArray(value) || value instanceof Range) return value.length;
  if (value instanceof Map) return value.size;
  if (value instanceof Tuple || value instanceof View) return value.items.length;
  return value instanceof Undefined ? 0 : fail(`object of type '${typeName(value)}' has no len()`);
};

const fallback: Filter = (value, args) => {
  const [given, boolean] = bind("default", ["default_value", "boolean"], args, ["", false]);
  return value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? given : value;
};

const pythonNumber = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?$/;

/** A digit of any script; those of a script stand together in Unicode, from zero to nine. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0)!;
  let first = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
  return String((code - first) % 10);
}

/** Python's `float(text)`, or undefined where it raises an error. */
function readFloat(text: string): number | undefined {
  spend(text.length);
  const plain = strip(unmarked(text), undefined, true, true);
  const named = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(plain);
  if (named !== null) return named[2] === undefined ? Number.NaN : named[1] === "-" ? -Infinity : Infinity;
  const ascii = plain.replace(/\p{Nd}/gu, asciiDigit);
  return pythonNumber.test(ascii) ? Number(ascii.replaceAll("_", "")) : undefined;
}

const toInteger: Filter = (value, args) => {
  const [given, base] = bind("int", ["default", "base"], args, [0, 10]);
  if (base !== 10) return unsupported("the filter int with a base");
  const read = typeof value === "string" ? readFloat(value) : numeric(value);
  if (read === undefined || Number.isNaN(read)) return given;
  if (!Number.isFinite(read)) return typeof value === "string" || value instanceof Float ? given : read;
  return number(Math.trunc(read), false);
};

const toFloat: Filter = (value, args) => {
  const [given] = bind("float", ["default"], args, [new Float(0)]);
  const read = typeof value === "string" ? readFloat(value) : numeric(value);
  return read === undefined ? given : new Float(read);
};

const round: Filter = (value, args) => {
  const [precision, method] = bind("round", ["precision", "method"], args, [0, "common"]);
  const given = numeric(value) ?? fail(`a ${typeName(value)} cannot be rounded`);
  if (typeof precision !== "number" || precision < 0) return unsupported("such a precision of round");
  const scale = 10 ** precision;
  if (method === "ceil" || method === "floor") return new Float(Math[method](given * scale) / scale);
  if (method !== "common") return fail("method must be common, ceil or floor");
  return value instanceof Float ? new Float(Number(fixed(given, precision))) : given;
};

const indent: Filter = (value, args) => {
  const [width, first, blank] = bind("indent", ["width", "first", "blank"], args, [4, false, false]);
  if (typeof width !== "string" && typeof width !== "number") return fail("width must be an integer or text");
  if (typeof width === "number") room(width);
  const indention = typeof width === "string" ? width : " ".repeat(Math.max(0, width));
  const lines = splitLines(`${toText(value)}\n`, false);
  const text = lines.map((line, index) => (index > 0 && (isTrue(blank) || line !== "") ? indention + line : line));
  return (isTrue(first) ? indention : "") + joinTexts(text, "\n");
};

const tojson: Filter = (value, args) => {
  const names = ["ensure_ascii", "indent", "separators", "sort_keys"] as const;
  const [ascii, indent, separators, sortKeys] = bind("tojson", names, args, [false, null, null, false]);
  const pair = separators instanceof Tuple ? separators.items : Array.isArray(separators) ? separators : undefined;
  const [item = indent === null ? ", " : ",", key = ": "] = pair ?? [];
  if (typeof item !== "string" || typeof key !== "string") return fail("separators must be two texts");
  if (indent !== null && typeof indent !== "number" && typeof indent !== "string")
    return fail("indent must be a number or text");
  return made(
    toJson(value, {
      ascii: isTrue(ascii),
      indent: typeof indent === "number" ? " ".repeat(Math.min(Math.max(0, indent), 1000)) : (indent ?? undefined),
      itemSeparator: item,
      keySeparator: key,
      sortKeys: isTrue(sortKeys),
    }),
  );
};

const recased =
  (change: (plain: string) => string): Filter =>
  (value) =>
    made(changed(toText(value), change));

const wordStart = new RegExp(`([-({[<${spaceCharacters}]+)`);
function title(plain: string): string {
  spend(plain.length);
  const titled = (word: string): string => {
    const first = firstCharacter(word);
    return first.toUpperCase() + word.slice(first.length).toLowerCase();
  };
  return plain.split(wordStart).map(titled).join("");
}

const filters: Readonly<Record<string, Filter>> = {
  ...listFilters,
  abs: (value) =>
    number(
      Math.abs(numeric(value) ?? fail(`bad operand type for abs(): '${typeName(value)}'`)),
      value instanceof Float,
    ),
  capitalize: recased(capitalize),
  count: length,
  d: fallback,
  default: fallback,
  float: toFloat,
  format(value, { positional, named }) {
    if (positional.length > 0 && named.size > 0)
      return fail("can't handle positional and keyword arguments at the same time");
    return percentFormat(toText(value), named.size > 0 ? new Map(named) : new Tuple(positional));
  },
  indent,
  int: toInteger,
  length,
  list(value) {
    const items = iterate(value);
    spend(items.length);
    return [...items];
  },
  lower: recased((plain) => plain.toLowerCase()),
  map(value, args) {
    const { positional, named } = args;
    if (positional.length === 0 && named.has("attribute")) {
      for (const name of named.keys())
        if (name !== "attribute" && name !== "default") fail(`Unexpected keyword argument '${name}'`);
      const otherwise = named.get("default");
      return new Generator(
        iterate(value).map(getter(named.get("attribute")!, otherwise === null ? undefined : otherwise)),
      );
    }
    const name = positional[0] ?? fail("map requires a filter argument");
    return new Generator(iterate(value).map((entry) => applyFilter(toText(name), entry, rest(args, 1))));
  },
  replace(value, args) {
    const [old, to, count] = bind("replace", ["old", "new", "count"], args, [undefined, undefined, null]);
    if (count !== null && typeof count !== "number") return fail("count must be an integer");
    return replace(toText(value), toText(old), toText(to), count ?? -1);
  },
  round,
  string: (value) => toText(value),
  title: recased(title),
  tojson,
  trim(value, args) {
    const [characters] = bind("trim", ["chars"], args, [null]);
    return strip(toText(value), characters === null ? undefined : toText(characters), true, true);
  },
  upper: recased((plain) => plain.toUpperCase()),
};

/** What Jinja has beside these. */
const otherFilters = [
  ...["attr", "center", "e", "escape", "filesizeformat", "forceescape", "groupby", "pprint", "random", "safe", "slice"],
  ...["striptags", "truncate", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr"],
];

/** @throws {TemplateError} for a filter that is not known here */
export function applyFilter(name: string, value: Value, args: Arguments): Value {
  const filter = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (filter === undefined)
    return otherFilters.includes(name) ? unsupported(`the filter ${name}`) : fail(`No filter named '${name}'.`);
  spend(1 + (typeof value === "string" ? value.length / 16 : 0));
  return filter(value, args);
}
