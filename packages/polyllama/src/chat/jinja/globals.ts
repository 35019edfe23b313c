// What a template finds without being given it: Jinja's own globals, and those that transformers adds.

import { bind } from "./bind.ts";
import { fail, TemplateError } from "./budget.ts";
import { unmarked } from "./marks.ts";
import { toText } from "./print.ts";
import { Scope } from "./scope.ts";
import { generationName } from "./source.ts";
import { strftime } from "./strftime.ts";
import { tupleName, undefinedName } from "./syntax.ts";
import {
  type Arguments,
  Callable,
  dictKey,
  iterate,
  Namespace,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** Entries of the longest range, as in Jinja's sandbox. */
const longestRange = 100_000;

const range = ({ positional }: Arguments): Value => {
  const [first = fail("range expected at least 1 argument"), second, step = 1] = positional.map((value) =>
    typeof value === "number" || typeof value === "boolean"
      ? Number(value)
      : fail(`'${typeName(value)}' object cannot be interpreted as an integer`),
  );
  if (step === 0) return fail("range() arg 3 must not be zero");
  const result = second === undefined ? new Range(0, first, 1) : new Range(first, second, step);
  return result.length > longestRange
    ? fail(`Range too big. The sandbox blocks ranges larger than ${longestRange}`)
    : result;
};

/** The entries that `dict` and `namespace` are made with. */
function* pairs(where: string, { positional, named }: Arguments): Generator<[string | number, Value]> {
  if (positional.length > 1) fail(`${where} expected at most 1 argument`);
  for (const source of positional) {
    if (source instanceof Map) yield* source;
    else {
      for (const pair of iterate(source)) {
        const [key, value, ...more] = iterate(pair);
        if (key === undefined || value === undefined || more.length > 0)
          return fail(`${where} needs pairs of key and value`);
        yield [dictKey(key), value];
      }
    }
  }
  yield* named;
}

const raise = (args: Arguments): never => {
  const [message] = bind("raise_exception", ["message"], args, [undefined]);
  throw new TemplateError("raised", unmarked(toText(message)));
};

/** @param now Milliseconds since 1970. */
export function globalScope(now: number): Scope {
  const scope = new Scope();
  const define = (name: string, call: (args: Arguments) => Value): void => scope.set(name, new Callable(name, call));
  define("range", range);
  define("dict", (args) => new Map(pairs("dict", args)));
  define("namespace", (args) => {
    const fields = new Map<string, Value>();
    for (const [key, value] of pairs("namespace", args)) fields.set(String(key), value);
    return new Namespace(fields);
  });
  define("raise_exception", raise);
  define("strftime_now", (args) => {
    const [format] = bind("strftime_now", ["format"], args, [undefined]);
    return strftime(new Date(now), toText(format));
  });
  define(generationName, ({ named }) => {
    const caller = named.get("caller");
    return caller instanceof Callable ? caller.call({ positional: [], named: new Map() }) : "";
  });
  define(tupleName, ({ positional }) => new Tuple(positional));
  scope.set(undefinedName, new Undefined("the condition was false, and there is no else"));
  return scope;
}
