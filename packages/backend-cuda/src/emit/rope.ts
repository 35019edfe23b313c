// A rotation that is not done with the write to the cache.

import type { RopeStep } from "@polyllama/planner";
import { rope } from "../kernels/rope.ts";
import type { Launch } from "../launch.ts";
import { type Emitting, rotationAt, rowsAt } from "./emitting.ts";

export function emitRope({ rotation, x, y }: RopeStep, e: Emitting): Launch {
  return rope(e.rows, rotation.headDim, rowsAt(x, e), rotationAt(rotation, e), rowsAt(y, e));
}
