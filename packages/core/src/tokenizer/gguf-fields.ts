// Typed access to the keys `tokenizer.ggml.*` of GGUF metadata. What llama.cpp passes over with a warning, an id that
// the vocabulary does not have for instance, is passed over with a notice; what it refuses is refused.

import { type Notice, refuse, shown } from "./assemble.ts";

export interface GgufFields {
  readonly source: string;
  readonly notice: Notice;
  strings(key: string): readonly string[];
  /** At least `count` numbers. */
  numbers(key: string, count: number): ArrayLike<number> | undefined;
  /** An id; all bits set say that there is none. */
  token(key: string, fallback: number | undefined, count: number): number | undefined;
  flag(key: string, fallback: boolean): boolean;
}

export function ggufFields(metadata: ReadonlyMap<string, unknown>, source: string, notice: Notice): GgufFields {
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`);
  return {
    source,
    notice,
    strings(key) {
      const value = get(key);
      if (value === undefined) refuse(source, `tokenizer.ggml.${key} is missing`);
      if (Array.isArray(value) && value.every((element) => typeof element === "string")) return value;
      return refuse(source, `tokenizer.ggml.${key} is not an array of strings`);
    },
    numbers(key, count) {
      const value = get(key);
      if (value === undefined) return undefined;
      const list =
        // either has a length
        Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>) : undefined;
      if (list === undefined || !list.every((element) => typeof element === "number")) {
        return refuse(source, `tokenizer.ggml.${key} is not an array of numbers`);
      }
      if (list.length < count) {
        refuse(source, `tokenizer.ggml.${key} has ${list.length} entries for ${count} tokens`);
      }
      return list;
    },
    token(key, fallback, count) {
      const usual = fallback !== undefined && fallback < count ? fallback : undefined;
      const value = get(key);
      if (value === undefined) return usual;
      if (value === 0xffffffff || value === -1) return undefined;
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < count) return value;
      if (typeof value !== "number" && typeof value !== "bigint") {
        refuse(source, `tokenizer.ggml.${key} is ${shown(value)}, not an id`);
      }
      const instead = usual === undefined ? "there is none" : `it is ${usual}, as usual`;
      notice(`tokenizer.ggml.${key} is ${shown(value)}, but there are ${count} tokens; ${instead}`);
      return usual;
    },
    flag(key, fallback) {
      const value = get(key) ?? fallback;
      return typeof value === "boolean"
        ? value
        : refuse(source, `tokenizer.ggml.${key} is ${shown(value)}, not a boolean`);
    },
  };
}
