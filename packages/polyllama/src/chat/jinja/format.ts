// `%` and `format` of Python's texts, with the conversions that templates use; others are refused by name.

import { fail, made, spend, unsupported } from "./budget.ts";
import { unmarked } from "./marks.ts";
import { represent, toText } from "./print.ts";
import { type Arguments, dictKey, Float, numeric, Tuple, typeName, type Value } from "./values.ts";

const conversion = /%(?:\(([^)]*)\))?([-+ #0]*)(\d+|\*)?(?:\.(\d+|\*))?([a-zA-Z%])?/g;

/** `format % value` */
export function percentFormat(format: string, value: Value): string {
  spend(format.length);
  const given = value instanceof Tuple ? value.items : [value];
  let used = 0;
  const result = format.replace(
    conversion,
    (_, name?: string, flags = "", width = "", precision?: string, type?: string) => {
      if (type === "%") return "%";
      if (type === undefined) return fail("incomplete format");
      if (flags !== "" || width !== "") unsupported("a format with a width or flags");
      const next = name === undefined ? given[used++] : value instanceof Map ? value.get(dictKey(name)) : undefined;
      if (next === undefined) fail("not enough arguments for format string");
      return converted(next, type, precision);
    },
  );
  if (used < given.length && !(value instanceof Map) && !(Array.isArray(value) && used === 0)) {
    fail("not all arguments converted during string formatting");
  }
  return made(result);
}

function converted(value: Value, type: string, precision: string | undefined): string {
  if (type === "s" || type === "r") {
    const text = type === "s" ? toText(value) : represent(value);
    if (precision === undefined) return text;
    spend(text.length);
    return Array.from(unmarked(text)).slice(0, Number(precision)).join("");
  }
  if (!"dif".includes(type)) return unsupported(`the format %${type}`);
  const number = numeric(value) ?? fail(`%${type} format: a number is required, not ${typeName(value)}`);
  if (type === "f") return fixed(number, Number(precision ?? 6));
  if (precision !== undefined) unsupported("a format of integers with a precision");
  return String(Math.trunc(number));
}

/** A number with so many decimals; ties go to the even digit, as Python rounds what is stored. */
export function fixed(number: number, decimals: number): string {
  const scaled = Math.abs(number) * 10 ** decimals;
  // Where the digit is odd, a tie goes up as `toFixed` rounds.
  const isEvenTie = scaled % 2 === 0.5 && scaled < 2 ** 52 && Number.isInteger(Math.abs(number) * 2 ** (decimals + 1));
  if (!isEvenTie) return number.toFixed(decimals);
  return `${number < 0 ? "-" : ""}${(Math.floor(scaled) / 10 ** decimals).toFixed(decimals)}`;
}

/** `"...".format(...)`, with plain fields only. */
export function formatMethod(given: string, { positional, named }: Arguments): Value {
  spend(given.length);
  let next = 0;
  const result = given.replace(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g, (whole, field?: string) => {
    if (whole === "{{" || whole === "}}") return whole[0]!;
    if (field === undefined) return fail("a brace of a format stands alone");
    if (!/^\w*$/.test(field)) return unsupported(`the format {${field}}`);
    const value =
      field === "" ? positional[next++] : /^\d+$/.test(field) ? positional[Number(field)] : named.get(field);
    if (value instanceof Float || typeof value === "string" || typeof value === "number") return toText(value);
    return value === undefined ? fail(`a format lacks the argument "${field}"`) : toText(value);
  });
  return made(result);
}
