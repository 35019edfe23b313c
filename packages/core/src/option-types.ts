// What options take, in words for messages and as a check. A description of options has an entry for each option of its
// interface, which the compiler checks.

/** What an option takes. */
export interface OptionType {
  /** For messages: "an integer from 0 to 100". */
  readonly expected: string;
  /** Whether a value is one that the option takes. */
  readonly accepts: (value: unknown) => boolean;
  /** Of an option that is an object: the options in it. */
  readonly options?: Readonly<Record<string, OptionType>>;
  /** Of a list: what its entries are. */
  readonly entry?: OptionType;
  /** What to do instead about some values that are not accepted, as a sentence. */
  readonly remedy?: (value: unknown) => string | undefined;
  readonly required?: boolean;
}

/** An entry for each option of an interface. */
export type OptionSchema<Options> = { readonly [Name in keyof Options]-?: OptionType };

export interface NumberRange {
  readonly least?: number;
  readonly most?: number;
  readonly integer?: boolean;
}

function number({ least = -Infinity, most = Infinity, integer = false }: NumberRange = {}): OptionType {
  const range = least === -Infinity ? "" : most === Infinity ? ` at least ${least}` : ` from ${least} to ${most}`;
  return {
    expected: `${integer ? "an integer" : "a number"}${range}`,
    accepts: (value) =>
      typeof value === "number" &&
      value >= least &&
      value <= most &&
      (integer ? Number.isSafeInteger(value) : Number.isFinite(value)),
  };
}

function oneOf(choices: readonly (string | boolean)[]): OptionType {
  const quoted = choices.map((choice) => JSON.stringify(choice));
  const expected = quoted.length === 1 ? quoted[0]! : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
  return { expected, accepts: (value) => choices.some((choice) => choice === value) };
}

function list(entry: OptionType, expected: string): OptionType {
  return {
    expected,
    entry,
    accepts: (value) => Array.isArray(value) && Array.from(value).every((each) => entry.accepts(each)),
  };
}

function either(...types: readonly OptionType[]): OptionType {
  const entry = types.find((type) => type.entry !== undefined)?.entry;
  return {
    expected: types.map(({ expected }) => expected).join(" or "),
    ...(entry && { entry }),
    accepts: (value) => types.some((type) => type.accepts(value)),
  };
}

function object<Options extends object>(schema: OptionSchema<Options>): OptionType {
  return { expected: "an object", accepts: isObject, options: schema as Record<string, OptionType> };
}

function having(methods: readonly PropertyKey[], expected: string): OptionType {
  return {
    expected,
    accepts: (value) =>
      isObject(value) && methods.every((name) => typeof (value as Record<PropertyKey, unknown>)[name] === "function"),
  };
}

const string: OptionType = { expected: "a string", accepts: (value) => typeof value === "string" };

/** The types that options have. */
export const option: {
  /** A finite number of a range, its ends included. */
  readonly number: (range?: NumberRange) => OptionType;
  /** The same, for whole numbers. */
  readonly integer: (range?: Omit<NumberRange, "integer">) => OptionType;
  readonly boolean: OptionType;
  readonly string: OptionType;
  readonly nonEmptyString: OptionType;
  readonly function: OptionType;
  readonly signal: OptionType;
  readonly anyObject: OptionType;
  /** One of these values. */
  readonly oneOf: (choices: readonly (string | boolean)[]) => OptionType;
  /** An array of such entries. */
  readonly list: (entry: OptionType, expected: string) => OptionType;
  /** What any of these types takes. */
  readonly either: (...types: readonly OptionType[]) => OptionType;
  /** An object with options of its own. */
  readonly object: <Options extends object>(schema: OptionSchema<Options>) => OptionType;
  /** A plain object or a Map. */
  readonly entries: (expected: string) => OptionType;
  /** An object with these methods; what it is an instance of does not matter. */
  readonly having: (methods: readonly PropertyKey[], expected: string) => OptionType;
} = {
  number,
  integer: (range = {}) => number({ ...range, integer: true }),
  boolean: oneOf([true, false]),
  string,
  nonEmptyString: { expected: "a string that is not empty", accepts: (value) => string.accepts(value) && value !== "" },
  function: { expected: "a function", accepts: (value) => typeof value === "function" },
  signal: having(["addEventListener", "throwIfAborted"], "an AbortSignal"),
  anyObject: { expected: "an object", accepts: isObject },
  oneOf,
  list,
  either,
  object,
  entries: (expected) => ({
    expected,
    accepts: (value) => value instanceof Map || (isObject(value) && !Array.isArray(value) && isPlain(value)),
  }),
  having,
};

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** An object without a class, also of another realm, such as a frame. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return !isObject(prototype) || Object.getPrototypeOf(prototype) === null;
}
