// The values that a pickle's program builds, as far as files of tensors have them.

import type { Called } from "./pickle-names.ts";

/** A tensor as the pickle describes it; the bytes are elsewhere. */
export interface PickledTensor {
  readonly kind: "tensor";
  /** As safetensors writes it: F32, F16, BF16 and so on. */
  readonly dtype: string;
  /** Name of its storage. */
  readonly storage: string;
  /** Elements that its storage holds. */
  readonly storageElements: number;
  /** Its first element within the storage. */
  readonly first: number;
  readonly shape: readonly number[];
  /** Elements from one index to the next, per dimension. */
  readonly strides: readonly number[];
}

export type Value =
  | string
  | number
  | boolean
  | null
  | PickledTensor
  | { readonly kind: "bytes" }
  | { readonly kind: "list"; readonly items: Value[] }
  | { readonly kind: "tuple"; readonly items: readonly Value[] }
  | Dict
  | { readonly kind: "aside" }
  | { readonly kind: "name"; readonly name: Called }
  | { readonly kind: "storage"; readonly dtype: string; readonly storage: string; readonly elements: number };

export interface Dict {
  readonly kind: "dict";
  readonly entries: [Value, Value][];
}

type Kind = Extract<Value, { readonly kind: string }>["kind"];

export function isKind<K extends Kind>(
  value: Value | undefined,
  kind: K,
): value is Extract<Value, { readonly kind: K }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

export function kindOf(value: Value): string {
  if (value === null) return "None";
  return typeof value === "object" ? value.kind : typeof value;
}

export function isCount(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** A tuple of counts, as shapes and strides are. */
export function isCounts(
  value: Value | undefined,
): value is { readonly kind: "tuple"; readonly items: readonly number[] } {
  return isKind(value, "tuple") && value.items.length <= 8 && value.items.every(isCount);
}
