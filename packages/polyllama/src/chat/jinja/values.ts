// Python's values as a template meets them. Text, whole numbers, booleans and None are JavaScript's own; what
// JavaScript does not tell apart (a float from an integer, a tuple from a list) has a class. Iteration, truth and
// equality are here because everything else rests on them.

import { fail, spend, unsupported } from "./budget.ts";
import { characters, unmarked } from "./marks.ts";

export class Undefined {
  /** What was not found, for errors. */
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}

export class Float {
  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }
}

export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** What `keys()`, `values()` and `items()` of a dict give. */
export class View {
  readonly kind: string;
  readonly items: readonly Value[];

  constructor(kind: string, items: readonly Value[]) {
    this.kind = kind;
    this.items = items;
  }
}

export class Range {
  readonly start: number;
  readonly step: number;
  readonly length: number;

  constructor(start: number, stop: number, step: number) {
    this.start = start;
    this.step = step;
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }

  at(index: number): number {
    return this.start + index * this.step;
  }
}

/** What `map`, `select` and their like give: it can be gone through once. */
export class Generator {
  #rest: readonly Value[];

  constructor(items: readonly Value[]) {
    this.#rest = items;
  }

  take(): readonly Value[] {
    const items = this.#rest;
    this.#rest = [];
    return items;
  }

  next(): Value {
    const [first = new Undefined("the first of nothing"), ...rest] = this.#rest;
    this.#rest = rest;
    return first;
  }
}

export class Namespace {
  readonly fields: Map<string, Value>;

  constructor(fields: Map<string, Value>) {
    this.fields = fields;
  }
}

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

export class Callable {
  readonly name: string;
  readonly call: (args: Arguments) => Value;

  constructor(name: string, call: (args: Arguments) => Value) {
    this.name = name;
    this.call = call;
  }
}

/** The variable `loop`. */
export class Loop {
  readonly items: readonly Value[];
  readonly depth: number;
  index = 0;
  /** What `changed` was called with last. */
  last: readonly Value[] | undefined = undefined;

  constructor(items: readonly Value[], depth: number) {
    this.items = items;
    this.depth = depth;
  }
}

export type Dict = Map<string | number, Value>;

export type Value =
  | null
  | boolean
  | number
  | string
  | Undefined
  | Float
  | Value[]
  | Tuple
  | Dict
  | View
  | Range
  | Generator
  | Namespace
  | Callable
  | Loop;

/** A type as Python names it. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "int";
  if (typeof value === "string") return "str";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  return value.constructor.name.toLowerCase();
}

/** A whole number that JavaScript holds exactly, as Python holds all of them. */
export function integer(value: number): number {
  return Number.isSafeInteger(value) ? value + 0 : unsupported("a whole number beyond 2^53");
}

/** The number that a number or boolean is. */
export function numeric(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof Float ? value.number : undefined;
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (value instanceof Float) return value.number !== 0;
  if (typeof value === "string") return unmarked(value) !== "";
  if (Array.isArray(value) || value instanceof Range) return value.length > 0;
  if (value instanceof Tuple || value instanceof View) return value.items.length > 0;
  if (value instanceof Map) return value.size > 0;
  return typeof value === "boolean" ? value : typeof value === "number" ? value !== 0 : true;
}

/** The entries of what can be gone through, or undefined. A generator is used up by it. */
export function entries(value: Value): readonly Value[] | undefined {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return characters(value);
  if (value instanceof Tuple || value instanceof View) return value.items;
  if (value instanceof Map) return [...value.keys()];
  if (value instanceof Generator) return value.take();
  if (value instanceof Undefined) return [];
  if (!(value instanceof Range)) return undefined;
  spend(value.length);
  return Array.from({ length: value.length }, (_, index) => value.at(index));
}

/** @throws {TemplateError} for what cannot be gone through */
export function iterate(value: Value): readonly Value[] {
  return entries(value) ?? fail(`'${typeName(value)}' object is not iterable`);
}

export function isEqual(a: Value, b: Value): boolean {
  spend(1);
  if (typeof a === "string" || typeof b === "string") {
    return typeof a === "string" && typeof b === "string" && unmarked(a) === unmarked(b);
  }
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return x === y;
  if (a instanceof Undefined) return b instanceof Undefined;
  if (Array.isArray(a)) return Array.isArray(b) && allEqual(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && allEqual(a.items, b.items);
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    for (const [key, value] of a) {
      const other = b.get(key);
      if (other === undefined || !isEqual(value, other)) return false;
    }
    return true;
  }
  if (a instanceof Range && b instanceof Range) return allEqual(iterate(a), iterate(b));
  if (a instanceof View && b instanceof View && a !== b) return unsupported("a comparison of views of dicts");
  return a === b;
}

function allEqual(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((value, index) => isEqual(value, b[index]!));
}

/** Negative, zero or positive, as `<` orders them. @throws {TemplateError} for what has no order */
export function order(a: Value, b: Value): number {
  spend(1);
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined)
    return Number.isNaN(x - y) && x !== y ? unsupported("an order of NaN") : x === y ? 0 : x < y ? -1 : 1;
  if (typeof a === "string" && typeof b === "string") return orderOfTexts(unmarked(a), unmarked(b));
  const [left, right] =
    Array.isArray(a) && Array.isArray(b) ? [a, b] : a instanceof Tuple && b instanceof Tuple ? [a.items, b.items] : [];
  if (left === undefined || right === undefined) {
    return fail(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
  }
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (!isEqual(left[i]!, right[i]!)) return order(left[i]!, right[i]!);
  }
  return left.length - right.length;
}

/** By code points, as Python orders; UTF-16 units have another order beyond U+FFFF. */
function orderOfTexts(a: string, b: string): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  const weight = (text: string): number => {
    const unit = at < text.length ? text.charCodeAt(at) : -1;
    return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
  };
  return weight(a) - weight(b);
}

/** What a dict has under a key, written as a template writes it. */
export function dictKey(key: Value): string | number {
  if (typeof key === "string") return unmarked(key);
  if (typeof key === "number") return key;
  return unsupported(`a dict's key of type ${typeName(key)}`);
}

/** JSON as the template's values. */
export function fromJson(value: unknown): Value {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? integer(value) : new Float(value);
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === "object") return new Map(Object.entries(value).map(([key, entry]) => [key, fromJson(entry)]));
  return new Undefined("a value that JSON does not have");
}
