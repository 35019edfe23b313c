// A weight as the reference holds it.

import type { WeightInfo } from "@polyllama/core";

/** A weight as exact numbers. */
export interface LoadedWeight {
  readonly info: WeightInfo;
  /** Exact values of the stored format. */
  readonly values: Float32Array;
  /** As stored, for formats with offsets; empty otherwise. */
  readonly bytes: Uint8Array;
}
