// A rotation that is not done with the write to the cache.

import type { RopeStep } from "@polyllama/planner";
import { rope } from "../kernels/rope.ts";
import type { Launch } from "../launch.ts";
import type { Emitting } from "./emitting.ts";

export function emitRope({ rotation, x, y }: RopeStep, e: Emitting): Launch {
  return rope(e.chunk.rows, rotation.headDim, e.at(x), e.rotation(rotation), e.at(y));
}
