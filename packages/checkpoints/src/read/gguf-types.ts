// GGUF's own vocabulary (ggml/docs/gguf.md): value types of the metadata and numbers of ggml's tensor types. Types that
// are not read here are known by name, so that a refusal can say what a file holds.

import type { FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";

/** Metadata value types, by their number in the file. */
export const valueTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

export type ValueType = keyof typeof valueTypes;

/** Least bytes that a value of a type takes, by the type's number. */
export const leastBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

const ggmlTypes: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  8: "Q8_0",
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  30: "BF16",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
};

/** Name of a ggml tensor type, for people. */
export function ggmlTypeName(type: number): string {
  return ggmlTypes[type] ?? `number ${type}`;
}

/** The format that a ggml type is read as, if any. */
export function formatOfGgmlType(type: number): FormatName | undefined {
  return Object.values(formats).find(({ ggmlType }) => ggmlType === type)?.name;
}

/** Names of the types that are read, for messages. */
export function readableTypes(): string {
  return Object.values(formats)
    .map(({ ggmlType }) => ggmlTypeName(ggmlType))
    .join(", ");
}

export const defaultAlignment = 32;

/** Next multiple of the alignment. */
export function align(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
