// Values that kernels go over element by element, whatever their shape.

import type { Grid, Handle } from "../driver/api.ts";

/** Rows of a value, of which nobody asks but for their elements. */
export interface Elements {
  readonly address: Handle;
  readonly rows: number;
  readonly width: number;
  readonly stride: number;
}

/** Blocks of 256 threads that go over so many elements together. */
export function flatGrid(count: number, most = 4096): Grid {
  return [Math.max(1, Math.min(most, Math.ceil(count / 256))), 1, 1];
}
