// Typed access to JSON from outside: every wrong or missing field is refused by its path in the file.

import { refuse, shown } from "../assemble.ts";

export interface JsonObject {
  /** Where the object stands in the file: `decoder.decoders[1]`. */
  readonly path: string;
  readonly source: string;
  keys(): readonly string[];
  /** undefined where the field is missing or null. */
  get(key: string): unknown;
  string(key: string): string;
  boolean(key: string, fallback?: boolean): boolean;
  /** A non-negative integer. */
  count(key: string, fallback?: number): number;
  list(key: string): readonly unknown[];
  object(key: string): JsonObject;
  objects(key: string): JsonObject[];
  /** Refuses the file because of this object. */
  refuse(problem: string): never;
}

/** Levels of nesting that are followed; no real file comes near. */
const deepest = 32;

/** @throws {PolyllamaError} `ERR_TOKENIZER` when the value is no object; its readers throw the same. */
export function jsonObject(value: unknown, path: string, source: string, depth = 0): JsonObject {
  if (depth > deepest) refuse(source, `${path} is nested too deeply`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(source, `${path} is not a JSON object`);
  }
  const values = value as Readonly<Record<string, unknown>>; // an object, by the line above
  const get = (key: string): unknown => (Object.hasOwn(values, key) ? (values[key] ?? undefined) : undefined);
  const wrong = (key: string, expected: string): never => {
    const found = get(key);
    return refuse(source, `${path}.${key} is ${shown(found)}, not ${expected}`);
  };
  const list = (key: string): readonly unknown[] => {
    const found = get(key);
    return Array.isArray(found) ? found : wrong(key, "an array");
  };

  return {
    path,
    source,
    keys: () => Object.keys(values),
    get,
    list,
    string(key) {
      const found = get(key);
      return typeof found === "string" ? found : wrong(key, "a string");
    },
    boolean(key, fallback) {
      const found = get(key) ?? fallback;
      return typeof found === "boolean" ? found : wrong(key, "true or false");
    },
    count(key, fallback) {
      const found = get(key) ?? fallback;
      return typeof found === "number" && Number.isSafeInteger(found) && found >= 0 ? found : wrong(key, "a count");
    },
    object: (key) => jsonObject(get(key), `${path}.${key}`, source, depth + 1),
    objects: (key) => list(key).map((element, i) => jsonObject(element, `${path}.${key}[${i}]`, source, depth + 1)),
    refuse: (problem) => refuse(source, `${path} ${problem}`),
  };
}

/** The object under a key that may be null or missing. */
export function optionalObject(parent: JsonObject, key: string): JsonObject | undefined {
  return parent.get(key) === undefined ? undefined : parent.object(key);
}

/** Refuses a component whose type this project does not know. */
export function unknownType(component: JsonObject, known: string): never {
  return component.refuse(`has the type ${shown(component.get("type"))}; known are ${known}`);
}

/** The literal string that a `pattern` stands for. */
export function literalPattern(component: JsonObject): string {
  const pattern = component.object("pattern");
  if (pattern.get("Regex") !== undefined) pattern.refuse("is a regular expression; only strings are supported");
  const text = pattern.string("String");
  return text === "" ? pattern.refuse("is empty") : text;
}
