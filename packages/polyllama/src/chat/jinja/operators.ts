// Python's operators, on the types that templates have.

import { fail, made, room, spend } from "./budget.ts";
import { percentFormat } from "./format.ts";
import { unmarked } from "./marks.ts";
import { number, toText } from "./print.ts";
import {
  dictKey,
  Float,
  Generator,
  isEqual,
  iterate,
  numeric,
  order,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export function binary(operator: string, left: Value, right: Value): Value {
  switch (operator) {
    case "==":
      return isEqual(left, right);
    case "!=":
      return !isEqual(left, right);
    case "<":
      return compared(left, right) < 0;
    case "<=":
      return compared(left, right) <= 0;
    case ">":
      return compared(left, right) > 0;
    case ">=":
      return compared(left, right) >= 0;
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "~":
      return made(toText(left) + toText(right));
    default:
      return arithmetic(operator, left, right);
  }
}

function compared(left: Value, right: Value): number {
  for (const value of [left, right]) if (value instanceof Undefined) fail(`'${value.what}' is undefined`);
  return order(left, right);
}

export function contains(whole: Value, part: Value): boolean {
  if (typeof whole === "string") {
    if (part instanceof Undefined) return fail("'in <string>' requires string as left operand, not Undefined");
    if (typeof part !== "string") return fail(`'in <string>' requires string as left operand, not ${typeName(part)}`);
    spend(whole.length / 16);
    return unmarked(whole).includes(unmarked(part));
  }
  if (whole instanceof Map) {
    if (part instanceof Undefined || part === null) return false;
    if (Array.isArray(part) || part instanceof Map) return fail("unhashable type");
    return typeof part === "string" || typeof part === "number" ? whole.has(dictKey(part)) : false;
  }
  if (whole instanceof Generator) return fail("a search within a generator");
  return iterate(whole).some((entry) => isEqual(entry, part));
}

function arithmetic(operator: string, left: Value, right: Value): Value {
  for (const value of [left, right]) if (value instanceof Undefined) fail(`'${value.what}' is undefined`);
  if (operator === "%" && typeof left === "string") return percentFormat(left, right);
  const [a, b] = [numeric(left), numeric(right)];
  if (a !== undefined && b !== undefined)
    return calculated(operator, a, b, left instanceof Float || right instanceof Float);
  if (operator === "+") {
    if (typeof left === "string" && typeof right === "string") return made(left + right);
    if (Array.isArray(left) && Array.isArray(right)) return joined(left, right);
    if (left instanceof Tuple && right instanceof Tuple) return new Tuple(joined(left.items, right.items));
  }
  if (operator === "*") {
    const [many, count] = typeof right === "number" ? [left, right] : [right, left];
    if (typeof count === "number") {
      const times = Math.max(0, count);
      if (typeof many === "string") {
        room(many.length * times);
        return many.repeat(times);
      }
      if (Array.isArray(many) || many instanceof Tuple) {
        const items = Array.isArray(many) ? many : many.items;
        spend((1 + items.length) * times); // copies of an empty list are counted, too
        const repeated = Array.from({ length: times }, () => items).flat(1) as Value[]; // lists are one level down
        return Array.isArray(many) ? repeated : new Tuple(repeated);
      }
    }
  }
  return fail(`unsupported operand types for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

function joined(left: readonly Value[], right: readonly Value[]): Value[] {
  spend(left.length + right.length);
  return [...left, ...right];
}

function calculated(operator: string, a: number, b: number, isFloat: boolean): Value {
  switch (operator) {
    case "+":
      return number(a + b, isFloat);
    case "-":
      return number(a - b, isFloat);
    case "*":
      return number(a * b, isFloat);
    case "/":
      return b === 0 ? fail("division by zero") : new Float(a / b);
    case "//":
      return b === 0 ? fail("division by zero") : number(Math.floor((a - modulo(a, b)) / b + 0.5), isFloat);
    case "%":
      return b === 0 ? fail("modulo by zero") : number(modulo(a, b), isFloat);
    case "**":
      if (a === 0 && b < 0) return fail("zero cannot be raised to a negative power");
      if (a < 0 && !Number.isInteger(b)) return fail("a complex number");
      return number(a ** b, isFloat || b < 0);
    default:
      return fail(`unknown operator ${operator}`);
  }
}

/** With the sign of the divisor, as in Python. */
function modulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

export function unary(operator: string, value: Value): Value {
  if (value instanceof Undefined) return fail(`'${value.what}' is undefined`);
  const given = numeric(value) ?? fail(`bad operand type for unary ${operator}: '${typeName(value)}'`);
  return number(operator === "-" ? -given : given, value instanceof Float);
}
