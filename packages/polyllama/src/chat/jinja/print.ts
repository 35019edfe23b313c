// Values as text: `str` and `repr` of Python, and `json.dumps` as transformers' `tojson` calls it.

import { fail, joinTexts, made, spend, unsupported, walked } from "./budget.ts";
import { changed } from "./marks.ts";
import {
  type Dict,
  Float,
  integer,
  Namespace,
  order,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

export function toText(value: Value): string {
  if (typeof value === "string") return value;
  return value instanceof Undefined ? "" : made(represent(value));
}

/** Python's `repr`. */
export function represent(value: Value): string {
  spend(1);
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return quoted(walked(value));
  if (value instanceof Float) return floatText(value.number);
  if (Array.isArray(value)) return `[${list(value)}]`;
  if (value instanceof Tuple) return value.items.length === 1 ? `(${list(value.items)},)` : `(${list(value.items)})`;
  if (value instanceof Map) return `{${pairs(value)}}`;
  if (value instanceof View) return `${value.kind}([${list(value.items)}])`;
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Namespace) return `<Namespace ${represent(new Map(value.fields))}>`;
  if (value instanceof Range) {
    const stop = value.at(value.length);
    return value.step === 1 ? `range(${value.start}, ${stop})` : unsupported("a range with a step, as text");
  }
  return unsupported(`a ${typeName(value)} as text`);
}

const list = (items: readonly Value[]): string => joinTexts(items.map(represent), ", ");

const pairs = (dict: Dict): string =>
  joinTexts(
    [...dict].map(([key, value]) => `${represent(key)}: ${represent(value)}`),
    ", ",
  );

function quoted(text: string): string {
  if (/^[\w .,:;-]*$/.test(text)) return `'${text}'`;
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
  const escaped = (character: string): string => {
    if (character === " ") return character;
    if (character === "'" || character === '"') return character === quote ? `\\${character}` : character;
    if (named[character] !== undefined) return named[character];
    const code = character.codePointAt(0)!;
    const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(digits as number, "0")}`; // the pair's second is a number
  };
  return quote + changed(text, (plain) => plain.replace(/['"\\\p{C}\p{Z}]/gu, escaped)) + quote;
}

/** The shortest digits that give the number again, written as Python writes them. */
function floatText(number: number): string {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
  const [digits = "", exponent = "0"] = number.toExponential().split("e");
  const power = Number(exponent);
  if (Object.is(number, -0)) return "-0.0";
  if (power < -4 || power >= 16) return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return Number.isInteger(number) ? `${BigInt(number)}.0` : plainDigits(digits, power);
}

/** Of a number that is no integer, and so has digits behind the point. */
function plainDigits(mantissa: string, power: number): string {
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  if (power < 0) return `${sign}0.${"0".repeat(-power - 1)}${digits}`;
  return `${sign}${digits.slice(0, power + 1)}.${digits.slice(power + 1)}`;
}

export interface JsonOptions {
  readonly ascii: boolean;
  /** What a level is indented by, or undefined for one line. */
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

/** @throws {TemplateError} for what JSON does not have */
export function toJson(value: Value, options: JsonOptions, depth = 0): string {
  spend(1);
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return jsonText(walked(value), options.ascii);
  if (value instanceof Float) return jsonNumber(value.number);
  const { indent, itemSeparator } = options;
  const brackets = (open: string, parts: readonly string[], close: string): string => {
    if (parts.length === 0) return open + close;
    if (indent === undefined) return open + joinTexts(parts, itemSeparator) + close;
    const line = `\n${indent.repeat(depth)}`;
    const lines = parts.map((part) => line + indent + part);
    return open + joinTexts(lines, itemSeparator) + line + close;
  };
  if (Array.isArray(value) || value instanceof Tuple) {
    const items = Array.isArray(value) ? value : value.items;
    const parts = items.map((item) => toJson(item, options, depth + 1));
    return brackets("[", parts, "]");
  }
  if (!(value instanceof Map)) return fail(`Object of type ${typeName(value)} is not JSON serializable`);
  const entries = [...value];
  if (options.sortKeys) entries.sort(([a], [b]) => order(a, b));
  const parts = entries.map(
    ([key, entry]) => jsonText(String(key), options.ascii) + options.keySeparator + toJson(entry, options, depth + 1),
  );
  return brackets("{", parts, "}");
}

function jsonNumber(number: number): string {
  if (Number.isFinite(number)) return floatText(number);
  return Number.isNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
}

const jsonEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function jsonText(text: string, ascii: boolean): string {
  const escaped = (unit: string): string =>
    jsonEscapes[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them
  const pattern = ascii ? /["\\]|[^ -~]/g : /["\\\u0000-\u001f]/g;
  return `"${changed(text, (plain) => plain.replace(pattern, escaped))}"`;
}

/** A number that a template made, as its type asks. */
export function number(value: number, isFloat: boolean): Value {
  return isFloat ? new Float(value) : integer(value);
}
