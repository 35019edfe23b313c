// Fields of a configuration, read with their types checked, and refused by name where this project would compute
// something else than they declare.

import { PolyllamaError } from "./errors.ts";
import { plainText, printable } from "./printable.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Reader {
  readonly fields: Fields;
  /** A positive integer. */
  size(field: string, fallback?: number): number;
  /** A finite number. */
  real(field: string, fallback?: number): number;
  /** The object that a field holds, read under its path; undefined where the field is absent or null. */
  within(field: string): Reader | undefined;
  /** @throws {PolyllamaError} `ERR_CONFIG` */
  refuse(field: string, value: unknown, why: string): never;
}

/** @param prefix Path of the object within the file, ending in a dot. @throws {PolyllamaError} `ERR_CONFIG` */
export function reader(json: unknown, source: string, prefix = ""): Reader {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    const where = prefix === "" ? "" : `${prefix.slice(0, -1)} is ${show(json)}; `;
    throw new PolyllamaError("ERR_CONFIG", `${source}: ${where}a JSON object is expected.`);
  }
  const fields = json as Fields; // an object, by the lines above
  const refuse = (field: string, value: unknown, why: string): never => {
    throw new PolyllamaError("ERR_CONFIG", `${source}: ${prefix}${field} is ${show(value)}; ${why}.`);
  };
  const real = (field: string, fallback?: number): number => {
    const value = fields[field] ?? fallback;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return refuse(field, value, "a number is expected");
  };
  const size = (field: string, fallback?: number): number => {
    const value = real(field, fallback);
    return Number.isSafeInteger(value) && value > 0 ? value : refuse(field, value, "a positive integer is expected");
  };
  const within = (field: string): Reader | undefined => {
    const value = fields[field] ?? undefined;
    return value === undefined ? undefined : reader(value, source, `${prefix}${field}.`);
  };
  return { fields, size, real, within, refuse };
}

/** A value as an error shows it. */
const show = (value: unknown): string => inOneLine(plainText(value));

function inOneLine(text: string): string {
  return printable(text.slice(0, 200)).replaceAll("\n", "\\n");
}
