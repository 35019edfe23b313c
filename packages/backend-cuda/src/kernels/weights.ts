// A matrix of weights as kernels read it (format.cuh): the addresses of its planes, and how its rows lie in them.

import type { FormatName } from "@polyllama/core";
import type { Handle } from "../driver/api.ts";

/** Fields of the struct `Weights`. */
export interface Planes {
  readonly "W.q": Handle;
  readonly "W.h": Handle;
  readonly "W.s": Handle;
  readonly "W.d": Handle;
}

/** The fields that a kernel over weights begins with. */
export const planeFields = { "W.q": "u64", "W.h": "u64", "W.s": "u64", "W.d": "u64" } as const;

/** Rows of weights [rows, columns] in the card's memory. */
export interface DeviceWeights {
  readonly format: FormatName;
  readonly planes: Planes;
  readonly columns: number;
  /** Blocks of a row; of floats the values. */
  readonly pitch: number;
  /** First of the rows that are meant. */
  readonly first: number;
}
