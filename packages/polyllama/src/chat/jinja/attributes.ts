// `object.name`, `object[key]` and slices, as Jinja's immutable sandbox looks them up: behind a dot attributes come
// before keys, in brackets keys before attributes, what changes an object is out of bounds, and what is not there is
// undefined. Source: github.com/pallets/jinja, src/jinja2/sandbox.py.

import { bind } from "./bind.ts";
import { fail, spend, unsupported } from "./budget.ts";
import { part, unmarked } from "./marks.ts";
import { countCharacters, firstCharacter, unitOf } from "./places.ts";
import { stringMethod } from "./strings.ts";
import {
  Callable,
  dictKey,
  Float,
  Generator,
  isEqual,
  iterate,
  Loop,
  Namespace,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

const changing = [
  "append",
  "clear",
  "extend",
  "insert",
  "pop",
  "popitem",
  "remove",
  "reverse",
  "setdefault",
  "sort",
  "update",
];

/** `object.name` */
export function attribute(object: Value, name: string): Value {
  const own = ownAttribute(object, name);
  if (own !== undefined) return own;
  if (object instanceof Map) return object.get(name) ?? missing(object, name);
  return missing(object, name);
}

/** `object[key]` */
export function item(object: Value, key: Value): Value {
  if (object instanceof Undefined) fail(`'${object.what}' is undefined`);
  if (object instanceof Map) {
    if (key instanceof Undefined || Array.isArray(key) || key instanceof Map) return missing(object, typeName(key));
    const found = object.get(
      key === null || typeof key === "boolean" || key instanceof Float ? unsupported("such a key") : dictKey(key),
    );
    if (found !== undefined) return found;
  } else if (typeof key === "number" || typeof key === "boolean") {
    const index = Number(key);
    if (typeof object === "string") return character(object, index) ?? missing(object, String(key));
    if (Array.isArray(object)) return object.at(index) ?? missing(object, String(key));
    if (object instanceof Tuple) return object.items.at(index) ?? missing(object, String(key));
    if (object instanceof Range) {
      const place = index < 0 ? object.length + index : index;
      return place >= 0 && place < object.length ? object.at(place) : missing(object, String(key));
    }
  }
  if (typeof key !== "string") return missing(object, typeName(key));
  const name = unmarked(key);
  return ownAttribute(object, name) ?? missing(object, name);
}

function missing(object: Value, name: string): Undefined {
  return new Undefined(`${typeName(object)}.${name}`);
}

/** What Python's object has under a name, or undefined. */
function ownAttribute(object: Value, name: string): Value | undefined {
  if (object instanceof Undefined) return fail(`'${object.what}' is undefined`);
  if (name.startsWith("__")) return new Undefined(`the attribute ${name}`);
  if (object instanceof Namespace) {
    const value = object.fields.get(name);
    return value !== undefined && name.startsWith("_") ? fail(`access to the attribute ${name} is unsafe`) : value;
  }
  if (typeof object === "string") return stringMethod(object, name);
  if (object instanceof Loop) return loopAttribute(object, name);
  if (object instanceof Map) return dictMethod(object, name);
  if (Array.isArray(object) || object instanceof Tuple) return listMethod(object, name);
  if (object instanceof Callable || object instanceof View || object instanceof Range || object instanceof Generator) {
    return unsupported(`the attribute ${name} of a ${typeName(object)}`);
  }
  if (
    object !== null &&
    /^(?:real|imag|numerator|denominator|conjugate|bit_\w+|to_bytes|from_bytes|is_integer|as_integer_ratio|hex|fromhex)$/.test(
      name,
    )
  ) {
    return unsupported(`the attribute ${name} of a number`);
  }
  return undefined;
}

function dictMethod(dict: Map<string | number, Value>, name: string): Value | undefined {
  switch (name) {
    case "get":
      return new Callable("get", (args) => {
        const [key, fallback] = bind("get", ["key", "default"], args, [undefined, null]);
        if (key instanceof Undefined || key === null) return fallback;
        return dict.get(dictKey(key)) ?? fallback;
      });
    case "items":
      return new Callable(
        "items",
        () =>
          new View(
            "dict_items",
            [...dict].map((pair) => new Tuple(pair)),
          ),
      );
    case "keys":
      return new Callable("keys", () => new View("dict_keys", [...dict.keys()]));
    case "values":
      return new Callable("values", () => new View("dict_values", [...dict.values()]));
    case "copy":
      return new Callable("copy", () => new Map(dict));
    case "fromkeys":
      return unsupported("the method fromkeys");
    default:
      return ["clear", "pop", "popitem", "setdefault", "update"].includes(name) ? outOfBounds(name) : undefined;
  }
}

function listMethod(list: Value[] | Tuple, name: string): Value | undefined {
  const items = Array.isArray(list) ? list : list.items;
  if (name === "count") {
    return new Callable("count", (args) => {
      const [wanted] = bind("count", ["value"], args, [undefined]);
      return items.filter((entry) => isEqual(entry, wanted)).length;
    });
  }
  if (name === "index") {
    return new Callable("index", (args) => {
      const [wanted] = bind("index", ["value"], args, [undefined]);
      const at = items.findIndex((entry) => isEqual(entry, wanted));
      return at < 0 ? fail("the value is not in the list") : at;
    });
  }
  if (!Array.isArray(list)) return undefined;
  if (name === "copy") return new Callable("copy", () => [...items]);
  return changing.includes(name) ? outOfBounds(name) : undefined;
}

/** To the sandbox such a method is undefined, so that it can be named and not called. */
function outOfBounds(name: string): Undefined {
  return new Undefined(`the method ${name}, which changes its object`);
}

function loopAttribute(loop: Loop, name: string): Value | undefined {
  const { items, index } = loop;
  switch (name) {
    case "index0":
      return index;
    case "index":
      return index + 1;
    case "revindex0":
      return items.length - index - 1;
    case "revindex":
      return items.length - index;
    case "first":
      return index === 0;
    case "last":
      return index === items.length - 1;
    case "length":
      return items.length;
    case "depth":
      return loop.depth;
    case "depth0":
      return loop.depth - 1;
    case "previtem":
      return items[index - 1] ?? new Undefined("there is no previous item");
    case "nextitem":
      return items[index + 1] ?? new Undefined("there is no next item");
    case "cycle":
      return new Callable(
        "cycle",
        ({ positional }) => positional[index % positional.length] ?? fail("no items for cycling given"),
      );
    case "changed":
      return new Callable("changed", ({ positional }) => {
        const before = loop.last;
        loop.last = positional;
        return before === undefined || !isEqual(new Tuple(before), new Tuple(positional));
      });
    default:
      return undefined;
  }
}

/** `object[start:stop:step]` */
export function slice(object: Value, bounds: readonly (Value | undefined)[]): Value {
  if (object instanceof Undefined) return fail(`'${object.what}' is undefined`);
  const [start, stop, step] = bounds.map((bound) => {
    if (bound === undefined || bound === null) return undefined;
    return typeof bound === "number" || typeof bound === "boolean" ? Number(bound) : Number.NaN;
  });
  // A slice that Python refuses is undefined in Jinja, like any key that is not there.
  const wrong = [start, stop, step].some(Number.isNaN) || step === 0;
  if (
    wrong ||
    !(typeof object === "string" || Array.isArray(object) || object instanceof Tuple || object instanceof Range)
  ) {
    return missing(object, "slice");
  }
  if (typeof object === "string" && (step ?? 1) === 1) return partOfText(object, start, stop);
  const all = iterate(object);
  const chosen = sliced(all, start, stop, step ?? 1);
  if (typeof object === "string") return chosen.join("");
  if (object instanceof Range) return unsupported("a slice of a range");
  return Array.isArray(object) ? chosen : new Tuple(chosen);
}

type Bound = number | undefined;

/** A character of a text with the marks around it; a negative number counts from the end. */
function character(text: string, index: number): string | undefined {
  const plain = walkedThrough(text);
  const at = unitOf(plain, index < 0 ? countCharacters(plain) + index : index);
  const found = firstCharacter(plain.slice(at, at + 2));
  return found === "" ? undefined : part(text, at, at + found.length);
}

function partOfText(text: string, start: Bound, stop: Bound): string {
  const plain = walkedThrough(text);
  const [first, last] = ends(countCharacters(plain), start, stop, 1);
  return part(text, unitOf(plain, first), unitOf(plain, last));
}

function walkedThrough(text: string): string {
  spend(text.length / 16);
  return unmarked(text);
}

/** Where a slice begins, and where it ends before. */
function ends(length: number, start: Bound, stop: Bound, step: number): readonly [number, number] {
  const [least, most] = step > 0 ? [0, length] : [-1, length - 1];
  const place = (given: Bound, fallback: number): number =>
    given === undefined ? fallback : Math.min(Math.max(given < 0 ? length + given : given, least), most);
  return step > 0 ? [place(start, least), place(stop, most)] : [place(start, most), place(stop, least)];
}

function sliced(all: readonly Value[], start: Bound, stop: Bound, step: number): Value[] {
  const [first, last] = ends(all.length, start, stop, step);
  const result: Value[] = [];
  for (let at = first; step > 0 ? at < last : at > last; at += step) result.push(all[at]!);
  return result;
}
