// Jinja's tests, `x is name`.
// Source: github.com/pallets/jinja, src/jinja2/tests.py.

import { fail, unsupported } from "./budget.ts";
import { isLower, isUpper } from "./letters.ts";
import { unmarked } from "./marks.ts";
import { binary, contains } from "./operators.ts";
import { toText } from "./print.ts";
import {
  type Arguments,
  Callable,
  entries,
  Float,
  Generator,
  isEqual,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

type Test = (value: Value, argument: Value | undefined) => boolean;

const given = (argument: Value | undefined): Value => argument ?? fail("a test lacks its argument");
const compared =
  (operator: string): Test =>
  (value, argument) =>
    binary(operator, value, given(argument)) === true;

const remainder = (value: Value, divisor: Value): number => {
  if (value instanceof Undefined) return fail(`'${value.what}' is undefined`);
  const rest = binary(
    "%",
    typeof value === "string" ? fail("not all arguments converted during string formatting") : value,
    divisor,
  );
  return rest instanceof Float ? rest.number : Number(rest);
};

const isSequence = (value: Value): boolean =>
  value instanceof Map ||
  typeof value === "string" ||
  Array.isArray(value) ||
  value instanceof Tuple ||
  value instanceof Range ||
  value instanceof Undefined;

const isSame: Test = (value, argument) => {
  const other = given(argument);
  if (value === null || typeof value === "boolean" || other === null || typeof other === "boolean")
    return value === other;
  return unsupported("the test sameas of what is neither a boolean nor none");
};

const tests: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === "boolean",
  callable: (value) => value instanceof Callable || value instanceof Undefined,
  defined: (value) => !(value instanceof Undefined),
  divisibleby: (value, argument) => remainder(value, given(argument)) === 0,
  eq: (value, argument) => isEqual(value, given(argument)),
  even: (value) => remainder(value, 2) === 0,
  false: (value) => value === false,
  float: (value) => value instanceof Float,
  ge: compared(">="),
  gt: compared(">"),
  in: (value, argument) => contains(given(argument), value),
  integer: (value) => typeof value === "number",
  iterable: (value) => value instanceof Generator || entries(value) !== undefined,
  le: compared("<="),
  lower: (value) => isLower(unmarked(toText(value))),
  lt: compared("<"),
  mapping: (value) => value instanceof Map,
  ne: (value, argument) => !isEqual(value, given(argument)),
  none: (value) => value === null,
  number: (value) => typeof value === "number" || typeof value === "boolean" || value instanceof Float,
  odd: (value) => remainder(value, 2) === 1,
  sameas: isSame,
  sequence: isSequence,
  string: (value) => typeof value === "string",
  true: (value) => value === true,
  undefined: (value) => value instanceof Undefined,
  upper: (value) => isUpper(unmarked(toText(value))),
};

const otherNames: Readonly<Record<string, string>> = {
  "!=": "ne",
  "<": "lt",
  "<=": "le",
  "==": "eq",
  ">": "gt",
  ">=": "ge",
  equalto: "eq",
  greaterthan: "gt",
  lessthan: "lt",
};

/** @throws {TemplateError} for a test that is not known here */
export function applyTest(name: string, value: Value, { positional, named }: Arguments): boolean {
  const known = Object.hasOwn(otherNames, name) ? otherNames[name]! : name;
  const test = Object.hasOwn(tests, known) ? tests[known] : undefined;
  if (test === undefined || named.size > 0) return unsupported(`the test ${name}`);
  if (positional.length > 1 || (positional.length > 0 && test.length < 2))
    fail(`the test ${name} takes fewer arguments than ${typeName([...positional])}`);
  return test(value, positional[0]);
}
