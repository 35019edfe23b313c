// Statements to text. What a statement writes is appended to a list, so that `break` keeps what its turn has written.

import { deeper, fail, joinTexts, spend, TemplateError } from "./budget.ts";
import { call, callArguments, evaluate, filtered, mentions } from "./expressions.ts";
import { toText } from "./print.ts";
import { Scope } from "./scope.ts";
import type { CallStatement, Expression, ForStatement, SetStatement, Statement } from "./syntax.ts";
import { type Arguments, Callable, isTrue, iterate, Loop, Namespace, Tuple, Undefined, type Value } from "./values.ts";

type Outcome = "done" | "break" | "continue";

/** Runs statements, appending their text. */
function run(statements: readonly Statement[], scope: Scope, output: string[]): Outcome {
  for (const statement of statements) {
    const outcome = runOne(statement, scope, output);
    if (outcome !== "done") return outcome;
  }
  return "done";
}

/** The text of statements that a loop around them does not reach into. */
function textOf(statements: readonly Statement[], scope: Scope): string {
  const output: string[] = [];
  const outcome = run(statements, scope, output);
  return outcome === "done" ? joinTexts(output, "") : fail(`${outcome} stands outside of a loop`);
}

function runOne(statement: Statement, scope: Scope, output: string[]): Outcome {
  spend(1);
  switch (statement.type) {
    case "If":
      return run(isTrue(evaluate(statement.test, scope)) ? statement.body : statement.alternate, scope, output);
    case "For":
      runLoop(statement, scope, output);
      return "done";
    case "Break":
      return "break";
    case "Continue":
      return "continue";
    case "Set":
      assign(statement, scope);
      return "done";
    case "Macro":
      scope.set(statement.name.value, macro(statement.name.value, statement.args, statement.body, scope));
      return "done";
    case "CallStatement":
      output.push(runCall(statement, scope));
      return "done";
    case "FilterStatement":
      output.push(toText(filtered(textOf(statement.body, new Scope(scope)), statement.filter, scope)));
      return "done";
    default:
      output.push(toText(evaluate(withoutSafe(statement), scope)));
      return "done";
  }
}

/**
 * `safe` says that a text needs no escaping. Nothing is escaped here, so that at the end of an output it changes
 * nothing.
 */
function withoutSafe(output: Expression): Expression {
  const isSafe =
    output.type === "FilterExpression" && output.filter.type === "Identifier" && output.filter.value === "safe";
  return isSafe ? withoutSafe(output.operand) : output;
}

function runLoop({ loopvar, iterable, body, defaultBlock }: ForStatement, scope: Scope, output: string[]): void {
  // `for ... in ... if ...` arrives as a conditional without `else`.
  const [source, test] = iterable.type === "SelectExpression" ? [iterable.lhs, iterable.test] : [iterable, undefined];
  const all = iterate(evaluate(source, scope));
  spend(all.length);
  const items =
    test === undefined
      ? all
      : all.filter((entry) => {
          const inner = new Scope(scope);
          bindTarget(loopvar, entry, inner);
          return isTrue(evaluate(test, inner));
        });
  const loop = new Loop(items, 1);
  let finished = false; // a turn came to its end, which `break` and `continue` do not
  for (const [index, entry] of items.entries()) {
    const turn = new Scope(scope);
    loop.index = index;
    turn.set("loop", loop);
    bindTarget(loopvar, entry, turn);
    const outcome = run(body, turn, output);
    if (outcome === "break") break;
    if (outcome === "done") finished = true;
  }
  if (!finished) {
    const outcome = run(defaultBlock, new Scope(scope), output);
    if (outcome !== "done") fail(`${outcome} stands outside of a loop`);
  }
}

function bindTarget(target: Expression, value: Value, scope: Scope): void {
  if (target.type === "Identifier") {
    scope.set(target.value, value);
    return;
  }
  if (target.type === "TupleLiteral") {
    const values = iterate(value);
    if (values.length !== target.value.length)
      fail(`${values.length} values are unpacked to ${target.value.length} names`);
    for (const [index, part] of target.value.entries()) bindTarget(part, values[index]!, scope);
    return;
  }
  if (target.type !== "MemberExpression" || target.computed || target.property.type !== "Identifier") {
    fail("what stands in front of = is no name");
  }
  const object = evaluate(target.object, scope);
  if (!(object instanceof Namespace)) fail("cannot assign attribute on non-namespace object");
  object.fields.set(target.property.value, value);
}

function assign({ assignee, value, body }: SetStatement, scope: Scope): void {
  bindTarget(assignee, value === null ? textOf(body, new Scope(scope)) : evaluate(value, scope), scope);
}

/** A macro, or what a call block gives to the macro that it calls. */
function macro(name: string, parameters: readonly Expression[], body: readonly Statement[], around: Scope): Callable {
  const names = parameters.map((parameter) => {
    if (parameter.type === "Identifier") return { name: parameter.value, fallback: undefined };
    if (parameter.type === "KeywordArgumentExpression") return { name: parameter.key.value, fallback: parameter.value };
    return fail(`a parameter of the macro ${name} is no name`);
  });
  const takes = (special: string): boolean =>
    names.every((parameter) => parameter.name !== special) && mentions(body, special);
  const [takesCaller, takesNamed, takesMore] = [takes("caller"), takes("kwargs"), takes("varargs")];

  return new Callable(name, ({ positional, named }: Arguments) => {
    const scope = new Scope(around);
    const left = new Map(named);
    const pending: { readonly name: string; readonly fallback: Expression }[] = [];
    for (const [index, { name, fallback }] of names.entries()) {
      if (index < positional.length && left.has(name)) fail(`the macro got two values for the argument '${name}'`);
      const value = index < positional.length ? positional[index] : left.get(name);
      left.delete(name);
      scope.set(name, value ?? (value === null ? null : new Undefined(name)));
      if (value === undefined && fallback !== undefined) pending.push({ name, fallback });
    }
    if (takesCaller) {
      scope.set("caller", left.get("caller") ?? new Undefined("No caller defined"));
      left.delete("caller");
    }
    if (takesNamed) scope.set("kwargs", new Map(left));
    else if (left.size > 0) fail(`macro '${name}' takes no keyword argument '${[...left.keys()][0]}'`);
    if (takesMore) scope.set("varargs", new Tuple(positional.slice(names.length)));
    else if (positional.length > names.length) fail(`macro '${name}' takes not more than ${names.length} argument(s)`);
    return deeper(() => {
      for (const parameter of pending) scope.set(parameter.name, evaluate(parameter.fallback, scope));
      return textOf(body, scope);
    });
  });
}

function runCall({ call: called, callerArgs, body }: CallStatement, scope: Scope): string {
  const { positional, named } = callArguments(called.args, scope);
  const caller = macro("caller", callerArgs ?? [], body, scope);
  const given = new Map(named).set("caller", caller);
  return toText(call(evaluate(called.callee, scope), { positional, named: given }));
}

/** The text of a whole template. Errors of the machine, such as a full stack, become the template's. */
export function runTemplate(statements: readonly Statement[], scope: Scope): string {
  try {
    return textOf(statements, new Scope(scope));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TemplateError("limit", "it nests too deeply, or makes too long a text");
  }
}
