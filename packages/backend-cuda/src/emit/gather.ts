// Brings the selected rows of a value together.

import type { GatherStep } from "@polyllama/planner";
import { gatherRows } from "../kernels/gather_rows.ts";
import type { Launch } from "../launch.ts";
import { type Emitting, rowsAt } from "./emitting.ts";

export function emitGather({ x, y }: GatherStep, e: Emitting): Launch {
  return gatherRows(e.selected, e.selection, rowsAt(x, e), rowsAt(y, e));
}
