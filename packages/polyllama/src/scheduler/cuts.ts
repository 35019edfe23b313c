// How a request's rows are cut into steps. Where a device computes the same bits for a row however its sequence was cut,
// steps take what there is room for. Elsewhere a strict scheduler cuts every text alike: prompts at multiples of a
// chunk's length, and what follows row by row, also where it is computed again. Either way a text depends on itself
// alone.

import type { DeviceFeatures } from "@polyllama/core/device";
import type { Request, RequestPlace } from "./request.ts";

/** How texts are cut. */
export interface Cuts {
  /** Positions that texts share or not as a whole. */
  readonly unit: number;
  /** Rows by which a request advances next: all that `room` allows, or a whole chunk, which may be more than that. */
  rows(request: Request, place: RequestPlace, room: number): number;
  /** Whether a text is being written, and not read: it advances by a row. */
  writes(request: Request, place: RequestPlace): boolean;
  /** How many of the computed positions others may share. */
  shared(promptLength: number, computed: number): number;
}

/** @param strict Whether a text must not depend on its neighbours. @param chunk Most rows of a prompt in one step. */
export function cutsOf(features: DeviceFeatures, strict: boolean, chunk: number, blockRows: number): Cuts {
  return features.invariantRows || !strict ? freeCuts(blockRows) : fixedCuts(chunk, blockRows);
}

function freeCuts(unit: number): Cuts {
  return {
    unit,
    rows: ({ tokens }, { cache }, room) => Math.min(tokens.length - cache.length, room),
    writes: ({ tokens }, { cache }) => tokens.length - cache.length === 1,
    shared: (_, computed) => computed,
  };
}

function fixedCuts(chunk: number, blockRows: number): Cuts {
  return {
    // A prefix has to end where a chunk and a block do.
    unit: chunk % blockRows === 0 ? chunk : Number.POSITIVE_INFINITY,
    rows({ promptLength }, { cache }) {
      const from = cache.length;
      if (from >= promptLength) return 1;
      return Math.min(promptLength, from - (from % chunk) + chunk) - from;
    },
    writes: ({ promptLength }, { cache }) => cache.length >= promptLength,
    shared: (promptLength, computed) => Math.min(promptLength - (promptLength % chunk), computed),
  };
}
