// Parameters of cases, declared as what they are: each value of one with each value of another, some only together, and
// without those that make no sense. What comes is a list in the order of its declaration, the last parameter changing
// fastest.

/** Values to choose from: the same always, or those that fit the parameters before. */
type Choice<Given, Value> = readonly Value[] | ((given: Given) => Iterable<Value>);

/** Sets of parameters. Nothing changes in place: each method gives other sets. */
export interface Combinations<P extends object> extends Iterable<P> {
  /** Each set with each value of one more parameter. */
  combine<Key extends string, const Value>(
    key: Key,
    values: Choice<P, Value>,
  ): Combinations<P & { readonly [Name in Key]: Value }>;
  /** Each set with each of several parameters that belong together, which replace those of the same name. */
  with<const Q extends object>(together: Choice<P, Q>): Combinations<Omit<P, keyof Q> & Q>;
  filter(keep: (given: P) => boolean): Combinations<P>;
  map<T>(make: (given: P) => T): readonly T[];
}

function listed<P extends object>(sets: readonly P[]): Combinations<P> {
  const choose = <Value>(from: Choice<P, Value>, given: P): readonly Value[] =>
    typeof from === "function" ? [...from(given)] : from;
  return {
    combine: <Key extends string, Value>(key: Key, values: Choice<P, Value>) => {
      type Longer = P & { readonly [Name in Key]: Value }; // to the compiler a computed key is any string
      return listed(
        sets.flatMap((given) => choose(values, given).map((value) => ({ ...given, [key]: value }) as Longer)),
      );
    },
    with: <Q extends object>(together: Choice<P, Q>) =>
      listed(sets.flatMap((given) => choose(together, given).map((more) => ({ ...given, ...more })))),
    filter: (keep) => listed(sets.filter(keep)),
    map: (make) => sets.map((given) => make(given)),
    [Symbol.iterator]: () => sets[Symbol.iterator](),
  };
}

/** No parameters yet: what every declaration begins with. */
export const combinations: Combinations<Readonly<Record<never, never>>> = listed([{}]);
