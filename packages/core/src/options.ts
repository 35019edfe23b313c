// Options of all entry points are checked alike, against one description each: unknown names, null and wrong types are
// refused by name before any work is done, so that no option is ignored and no wrong type ends as a TypeError of
// something else.

import { kindOf, OptionError } from "./errors.ts";
import { nearestName } from "./nearest-name.ts";
import { isObject, isPlain, type NumberRange, type OptionType, option } from "./option-types.ts";

/**
 * Refuses options that nobody would honour: unknown ones, and known ones with values of a wrong type. `undefined`
 * counts as absent.
 *
 * @param known Description of all options, or their names alone.
 * @param where The entry point: "Llama.load".
 * @throws {OptionError} naming the option, what it takes, and for unknown ones the nearest known name.
 */
export function checkOptions(
  options: unknown,
  known: Readonly<Record<string, OptionType>> | readonly string[],
  where: string,
): void {
  checkObject(options, known, where, "");
}

function checkObject(
  options: unknown,
  known: Readonly<Record<string, OptionType>> | readonly string[],
  where: string,
  prefix: string,
): void {
  // Inherited names count, since they are read; what has no names at all and is no plain object is something else.
  const names: string[] = [];
  if (isObject(options)) for (const name in options) names.push(name);
  if (!isObject(options) || Array.isArray(options) || (names.length === 0 && !isPlain(options))) {
    const remedy = option.signal.accepts(options) ? "Give it as { signal }." : undefined;
    throw wrongValue(options, { expected: "an object", remedy: () => remedy }, prefix.slice(0, -1) || "options", where);
  }
  const types: Readonly<Record<string, OptionType>> = isNames(known) ? {} : known;
  const knownNames = isNames(known) ? known : Object.keys(known);
  for (const name of names) {
    if (knownNames.includes(name)) continue;
    throw unknownOption(
      name,
      knownNames,
      prefix === "" ? where : `${where}, ${prefix.slice(0, -1)}`,
      options[name as never],
    );
  }
  for (const [name, type] of Object.entries(types)) {
    checkValue((options as Record<string, unknown>)[name], type, `${prefix}${name}`, where);
  }
}

/**
 * Refuses one value, of an option or of an argument. `undefined` passes where it is not required.
 *
 * @throws {OptionError}
 */
export function checkValue(value: unknown, type: OptionType, name: string, where: string): void {
  if (value === undefined && type.required !== true) return;
  if (!type.accepts(value)) throw wrongValue(value, type, name, where);
  if (type.options !== undefined) checkObject(value, type.options, where, `${name}.`);
}

/**
 * Refuses a number that is not finite, not within [`least`, `most`] or, where asked, not an integer. `undefined`
 * passes.
 *
 * @throws {OptionError}
 */
export function checkNumber(value: number | undefined, name: string, range: NumberRange): void {
  checkValue(value, option.number(range), name, "");
}

function wrongValue(
  value: unknown,
  { expected, entry, remedy }: Pick<OptionType, "expected" | "entry" | "remedy">,
  option: string,
  where: string,
): OptionError {
  // Of a list, its first wrong entry; by index, since lists may have holes.
  const index = entry && Array.isArray(value) ? Array.from(value).findIndex((each) => !entry.accepts(each)) : -1;
  const [name, takes, wrong] =
    entry && Array.isArray(value) && index >= 0
      ? [`${option}[${index}]`, entry.expected, value[index] as unknown]
      : [option, expected, value];
  const message = `${where === "" ? "" : `${where}: `}${name} must be ${takes}, not ${shown(wrong)}.`;
  return new OptionError(`${message} ${remedy?.(value) ?? ""}`.trimEnd(), { option, expected, value });
}

/** A value within a message: short ones as they are, others by their kind. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (value === null || ["undefined", "boolean", "number", "bigint"].includes(typeof value)) return String(value);
  const kind = kindOf(value);
  return `${/^[aeiou]/i.test(kind) ? "an" : "a"} ${kind}`;
}

function unknownOption(name: string, known: readonly string[], where: string, value: unknown): OptionError {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
  const expected = `one of ${known.join(", ")}`;
  const message = `${where}: unknown option ${JSON.stringify(name)}.${hint} Known options: ${known.join(", ")}.`;
  return new OptionError(message, { option: name, expected, value });
}

function isNames(known: Readonly<Record<string, OptionType>> | readonly string[]): known is readonly string[] {
  return Array.isArray(known);
}
