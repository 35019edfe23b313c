// A weight as the reference holds it.

import type { RealArray, WeightInfo } from "@polyllama/core";

/** A weight as exact numbers. */
export interface LoadedWeight {
  readonly info: WeightInfo;
  /** Exact values of the stored format; in float64 what a step has updated, so that small steps are not lost. */
  readonly values: RealArray;
  /** As stored, for formats with offsets; empty otherwise. */
  readonly bytes: Uint8Array;
}
