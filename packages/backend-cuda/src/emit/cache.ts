// Writes keys and values into the KV blocks of their sequences, and rotates what is rotated on the way.

import type { CacheStep } from "@polyllama/planner";
import { ropeCache } from "../kernels/rope_cache.ts";
import type { Launch } from "../launch.ts";
import { type Emitting, headsOf, rotationAt, rowsAt } from "./emitting.ts";

export function emitCache({ attention, k, kRotation, v, q }: CacheStep, e: Emitting): Launch {
  return ropeCache(e.rows, e.step, {
    ...headsOf(attention, e),
    k: rowsAt(k, e),
    kRotation: kRotation && rotationAt(kRotation, e),
    v: rowsAt(v, e),
    q: q && { x: rowsAt(q.x, e), rotation: rotationAt(q.rotation, e), y: rowsAt(q.y, e) },
  });
}
