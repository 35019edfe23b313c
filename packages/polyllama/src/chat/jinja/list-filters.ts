// Jinja's filters on lists and dicts. `map`, `select` and their like give what can be gone through once.

import { item } from "./attributes.ts";
import { bind } from "./bind.ts";
import { fail, joinTexts, spend, unsupported } from "./budget.ts";
import { characters } from "./marks.ts";
import { binary } from "./operators.ts";
import { toText } from "./print.ts";
import { applyTest } from "./tests.ts";
import {
  type Arguments,
  Generator,
  isEqual,
  isTrue,
  iterate,
  order,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export type Filter = (value: Value, args: Arguments) => Value;

/** A function that takes what a path such as `function.name` names. */
export function getter(attribute: Value, otherwise?: Value): (value: Value) => Value {
  if (attribute === null) return (value) => value;
  const parts =
    typeof attribute === "number"
      ? [attribute]
      : toText(attribute)
          .split(".")
          .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  return (value) => {
    let result = value;
    for (const part of parts) {
      result = item(result, part);
      if (result instanceof Undefined && otherwise !== undefined) result = otherwise;
    }
    return result;
  };
}

const lowered = (caseSensitive: Value): ((value: Value) => Value) =>
  isTrue(caseSensitive) ? (value) => value : (value) => (typeof value === "string" ? value.toLowerCase() : value);

const sorted = (items: readonly Value[], key: (value: Value) => Value, reverse: boolean): Value[] => {
  const keyed = items.map((value) => ({ value, key: key(value) }));
  spend(items.length);
  // Python keeps equals in their order in reverse, too.
  return keyed.sort((a, b) => (reverse ? order(b.key, a.key) : order(a.key, b.key))).map(({ value }) => value);
};

export const rest = ({ positional, named }: Arguments, count: number): Arguments => ({
  positional: positional.slice(count),
  named,
});

/** `select` and `reject`: by a test, or by truth. */
const choosing =
  (wanted: boolean, byAttribute: boolean): Filter =>
  (value, args) => {
    const skipped = byAttribute ? 1 : 0;
    if (args.positional.length < skipped) fail("the attribute's name is missing");
    const take = getter(byAttribute ? args.positional[0]! : null);
    const name = args.positional[skipped];
    const passes = (entry: Value): boolean =>
      name === undefined ? isTrue(entry) : applyTest(toText(name), entry, rest(args, skipped + 1));
    return new Generator(iterate(value).filter((entry) => passes(take(entry)) === wanted));
  };

/** `min` and `max` */
const extreme =
  (sign: number): Filter =>
  (value, args) => {
    const [caseSensitive, attribute] = bind("min", ["case_sensitive", "attribute"], args, [false, null]);
    const fold = lowered(caseSensitive);
    const take = getter(attribute);
    const items = iterate(value);
    let best: Value | undefined;
    for (const entry of items) {
      if (best === undefined || sign * order(fold(take(entry)), fold(take(best))) < 0) best = entry;
    }
    return best ?? new Undefined("no item of an empty sequence");
  };

/** Entries of what has an end to begin from. */
function backwards(value: Value): readonly Value[] {
  if (value instanceof Generator) return fail("'generator' object is not reversible");
  return [...iterate(value)].reverse();
}

export const listFilters: Readonly<Record<string, Filter>> = {
  batch(value, args) {
    const [size, fill] = bind("batch", ["linecount", "fill_with"], args, [undefined, null]);
    if (typeof size !== "number" || size < 1) return unsupported("such a size of batch");
    const items = iterate(value);
    const groups: Value[][] = [];
    for (let at = 0; at < items.length; at += size) groups.push(items.slice(at, at + size));
    const last = groups.at(-1);
    while (fill !== null && last !== undefined && last.length < size) last.push(fill);
    return new Generator(groups);
  },
  dictsort(value, args) {
    const [caseSensitive, by, reverse] = bind("dictsort", ["case_sensitive", "by", "reverse"], args, [
      false,
      "key",
      false,
    ]);
    if (by !== "key" && by !== "value") return fail('You can only sort by either "key" or "value"');
    if (!(value instanceof Map)) return fail(`'${typeName(value)}' object has no attribute 'items'`);
    const fold = lowered(caseSensitive);
    const pairs = [...value].map((pair) => new Tuple(pair));
    const key = (pair: Value): Value => fold((pair as Tuple).items[by === "key" ? 0 : 1]!); // they are all tuples
    return sorted(pairs, key, isTrue(reverse));
  },
  first(value) {
    if (value instanceof Generator) return value.next();
    return iterate(value)[0] ?? new Undefined("the first item of an empty sequence");
  },
  items(value) {
    if (value instanceof Undefined) return new Generator([]);
    if (!(value instanceof Map)) return fail("Can only get item pairs from a mapping.");
    return new Generator([...value].map((pair) => new Tuple(pair)));
  },
  join(value, args) {
    const [separator, attribute] = bind("join", ["d", "attribute"], args, ["", null]);
    return joinTexts(iterate(value).map(getter(attribute)).map(toText), toText(separator));
  },
  last(value) {
    return backwards(value)[0] ?? new Undefined("the last item of an empty sequence");
  },
  max: extreme(-1),
  min: extreme(1),
  reject: choosing(false, false),
  rejectattr: choosing(false, true),
  reverse: (value) =>
    typeof value === "string" ? characters(value).reverse().join("") : new Generator(backwards(value)),
  select: choosing(true, false),
  selectattr: choosing(true, true),
  sort(value, args) {
    const names = ["reverse", "case_sensitive", "attribute"] as const;
    const [reverse, caseSensitive, attribute] = bind("sort", names, args, [false, false, null]);
    const fold = lowered(caseSensitive);
    const getters =
      attribute === null
        ? [getter(null)]
        : toText(attribute)
            .split(",")
            .map((path) => getter(path));
    const key = (entry: Value): Value => getters.map((take) => fold(take(entry)));
    return sorted(iterate(value), key, isTrue(reverse));
  },
  sum(value, args) {
    const [attribute, start] = bind("sum", ["attribute", "start"], args, [null, 0]);
    return iterate(value)
      .map(getter(attribute))
      .reduce((sum, entry) => binary("+", sum, entry), start);
  },
  unique(value, args) {
    const [caseSensitive, attribute] = bind("unique", ["case_sensitive", "attribute"], args, [false, null]);
    const fold = lowered(caseSensitive);
    const take = getter(attribute);
    const seen: Value[] = [];
    return new Generator(
      iterate(value).filter((entry) => {
        const key = fold(take(entry));
        if (Array.isArray(key) || key instanceof Map) return fail("unhashable type");
        if (seen.some((known) => isEqual(known, key))) return false;
        seen.push(key);
        return true;
      }),
    );
  },
};
