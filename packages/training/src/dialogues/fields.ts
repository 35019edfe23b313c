// Fields of parsed lines: each is checked when it is taken, and an error says which it was.

import { quoted } from "@polyllama/core";
import { DataError, type DataPlace } from "./data-error.ts";

/** A field of a parsed line: its value, and where it stands. */
export interface Field {
  readonly value: unknown;
  /** Such as `messages[1].content`; undefined for the line itself. */
  readonly path: string | undefined;
  readonly place: DataPlace;
}

/** @throws {DataError} */
export function fail({ path, place }: Field, problem: string): never {
  throw new DataError(place, path, problem);
}

/** A field of an object; its value is undefined where there is none. @throws {DataError} for what is no object */
export function member(field: Field, name: string): Field {
  const { value, path, place } = field;
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(field, "is not an object");
  const inner: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
  return { value: inner, path: path === undefined ? name : `${path}.${name}`, place };
}

/** @throws {DataError} for what is no list */
export function items(field: Field): readonly Field[] {
  const { value, path = "", place } = field;
  if (!Array.isArray(value)) fail(field, value === undefined ? "is missing" : "is not a list");
  return value.map((item: unknown, index) => ({ value: item, path: `${path}[${index}]`, place }));
}

/** @throws {DataError} for what is no text, or has nothing but white space */
export function text(field: Field): string {
  const { value } = field;
  if (value === undefined) fail(field, "is missing");
  if (typeof value !== "string") fail(field, "is not a string");
  if (value.trim() === "") fail(field, "is empty");
  return value;
}

/** A text that may be missing, null or empty, which is the same. @throws {DataError} for anything else */
export function optionalText(field: Field): string | undefined {
  const { value } = field;
  return value === undefined || value === null || value === "" ? undefined : text(field);
}

/** One of some names. @throws {DataError} */
export function oneOf<Choice>(field: Field, choices: Readonly<Record<string, Choice>>): Choice {
  const name = text(field);
  const choice = Object.hasOwn(choices, name) ? choices[name] : undefined;
  return choice ?? fail(field, `is ${quoted(name, 40)}, and not one of ${Object.keys(choices).join(", ")}`);
}
