// Expressions to values.

import { attribute, item, slice } from "./attributes.ts";
import { fail, spend, unsupported } from "./budget.ts";
import { applyFilter } from "./filters.ts";
import { binary, unary } from "./operators.ts";
import type { Scope } from "./scope.ts";
import type { CallExpression, Expression, MemberExpression, SliceExpression, Statement } from "./syntax.ts";
import { applyTest } from "./tests.ts";
import {
  type Arguments,
  Callable,
  dictKey,
  Float,
  integer,
  isTrue,
  iterate,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

const constants: Readonly<Record<string, Value>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

export function evaluate(node: Expression, scope: Scope): Value {
  spend(1);
  switch (node.type) {
    case "IntegerLiteral":
      return integer(node.value);
    case "FloatLiteral":
      return new Float(node.value);
    case "StringLiteral":
      return node.value;
    case "Identifier":
      return variable(node.value, scope);
    case "ArrayLiteral":
      return node.value.map((entry) => evaluate(entry, scope));
    case "TupleLiteral":
      return new Tuple(node.value.map((entry) => evaluate(entry, scope)));
    case "ObjectLiteral":
      return new Map([...node.value].map(([key, value]) => [dictKey(evaluate(key, scope)), evaluate(value, scope)]));
    case "MemberExpression":
      return member(node, scope);
    case "CallExpression":
      return call(evaluate(node.callee, scope), callArguments(node.args, scope));
    case "UnaryExpression": {
      const value = evaluate(node.argument, scope);
      return node.operator.value === "not" ? !isTrue(value) : unary(node.operator.value, value);
    }
    case "BinaryExpression": {
      const { value: operator } = node.operator;
      const left = evaluate(node.left, scope);
      if (operator === "and") return isTrue(left) ? evaluate(node.right, scope) : left;
      if (operator === "or") return isTrue(left) ? left : evaluate(node.right, scope);
      return binary(operator, left, evaluate(node.right, scope));
    }
    case "Ternary":
      return evaluate(isTrue(evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope);
    case "SelectExpression":
      if (isTrue(evaluate(node.test, scope))) return evaluate(node.lhs, scope);
      return new Undefined("the condition was false, and there is no else");
    case "FilterExpression":
      return filtered(evaluate(node.operand, scope), node.filter, scope);
    default:
      return unsupported(`a ${node.type} at this place`);
  }
}

function variable(name: string, scope: Scope): Value {
  const constant = Object.hasOwn(constants, name) ? constants[name] : undefined;
  if (constant !== undefined) return constant;
  const value = scope.get(name);
  if (value !== undefined) return value;
  return ["cycler", "joiner", "lipsum", "self", "super"].includes(name)
    ? unsupported(`the global ${name}`)
    : new Undefined(name);
}

function member({ object, property, computed }: MemberExpression, scope: Scope): Value {
  const value = evaluate(object, scope);
  if (!computed && property.type === "Identifier") return attribute(value, property.value);
  // The parser's types do not tell that a slice stands here.
  const key: Expression | SliceExpression = property;
  if (key.type !== "SliceExpression") return item(value, evaluate(key, scope));
  return slice(
    value,
    [key.start, key.stop, key.step].map((bound) => (bound === undefined ? undefined : evaluate(bound, scope))),
  );
}

export function call(callee: Value, args: Arguments): Value {
  if (callee instanceof Callable) return callee.call(args);
  return fail(
    callee instanceof Undefined ? `'${callee.what}' is undefined` : `'${typeName(callee)}' object is not callable`,
  );
}

export function callArguments(args: CallExpression["args"], scope: Scope): Arguments {
  const positional: Value[] = [];
  const named = new Map<string, Value>();
  for (const arg of args) {
    if (arg.type === "KeywordArgumentExpression") named.set(arg.key.value, evaluate(arg.value, scope));
    else if (arg.type === "SpreadExpression") positional.push(...iterate(evaluate(arg.argument, scope)));
    else if (arg.type === "KeywordSpreadExpression") {
      const given = evaluate(arg.argument, scope);
      if (!(given instanceof Map)) return fail(`argument after ** must be a mapping, not ${typeName(given)}`);
      for (const [key, value] of given) named.set(String(key), value);
    } else positional.push(evaluate(arg, scope));
  }
  return { positional, named };
}

/** A filter, or a test that was written as one. */
export function filtered(value: Value, filter: Expression, scope: Scope): Value {
  const [callee, args] = filter.type === "CallExpression" ? [filter.callee, filter.args] : [filter, []];
  if (callee.type !== "Identifier") return fail("behind | stands no filter's name");
  const given = callArguments(args, scope);
  const test = /^is (not )?(.*)$/.exec(callee.value);
  if (test === null) return applyFilter(callee.value, value, given);
  return applyTest(test[2]!, value, given) === (test[1] === undefined);
}

/** Whether statements speak of a name. */
export function mentions(nodes: readonly Statement[], name: string): boolean {
  const within = (node: unknown): boolean => {
    if (Array.isArray(node)) return node.some(within);
    if (node instanceof Map) return [...node].some(within);
    if (typeof node !== "object" || node === null) return false;
    if ("type" in node && node.type === "Identifier" && "value" in node) return node.value === name;
    return Object.values(node).some(within);
  };
  return within(nodes);
}
