// What the host binds to the inputs of a model.

import type { Rotation, ValueName } from "@polyllama/core";

/** What the host binds to an input of the model. */
export type Binding =
  /** Rows of a graph input or of an embedding: f32 [1, rows, width]. */
  | { readonly kind: "activations"; readonly value: ValueName; readonly width: number }
  /** Rows, counted from 0, that selected values are computed for: i64 [selected]. */
  | { readonly kind: "selection" }
  /** Position of each row within the rotation tables: i64 [1, rows]. */
  | { readonly kind: "positions" }
  /** Length of the cache after the run, less 1: i32 [1]. */
  | { readonly kind: "lastPosition" }
  /** Length of the cache after the run: i32 [1]. */
  | { readonly kind: "totalLength" }
  /** f32 [positions, d / 2]. */
  | { readonly kind: "cos" | "sin"; readonly rotation: Rotation }
  /** f32 [1, G, capacity, padded d]; the output of the same place is the same memory. */
  | { readonly kind: "keys" | "values"; readonly attention: number };
