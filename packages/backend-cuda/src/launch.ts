// What the card is given to do: a kernel, how many blocks of it, and its parameters, which are the bytes of the struct
// that the kernel's file in kernels/ declares.

import type { Struct } from "@polyllama/planner";
import type { Grid, Handle } from "./driver/api.ts";

export interface Launch {
  /** File that the kernel is in, then its name: "gemv_q4_0", "gemv_1". */
  readonly image: string;
  readonly kernel: string;
  readonly grid: Grid;
  readonly threads: number;
  readonly parameters: ArrayBuffer;
}

/** Rows of activations in the card's memory, [rows, width] in f32. */
export interface DeviceRows {
  readonly address: Handle;
  readonly width: number;
  /** Elements from row to row. */
  readonly stride: number;
}

/** Structs that a CUDA file declares, by their names there. */
export type KernelStructs = Readonly<Record<string, Struct>>;
