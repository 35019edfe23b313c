// Writes keys and values into the KV blocks of their sequences, and rotates what is rotated on the way.

import type { CacheStep } from "@polyllama/planner";
import { ropeCache } from "../kernels/rope_cache.ts";
import type { Launch } from "../launch.ts";
import type { Emitting } from "./emitting.ts";

export function emitCache({ attention, k, kRotation, v, q }: CacheStep, e: Emitting): Launch {
  return ropeCache(e.chunk.rows, e.chunk.step, {
    ...e.heads(attention),
    k: e.at(k),
    kRotation: kRotation && e.rotation(kRotation),
    v: e.at(v),
    q: q && { x: e.at(q.x), rotation: e.rotation(q.rotation), y: e.at(q.y) },
  });
}
