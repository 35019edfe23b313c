// The paths of real use, in the order of CONFORMANCE.md.

import type { ConformanceCase } from "../case.ts";
import { chunkedCases } from "./chunked.ts";
import { fusedCases } from "./fused.ts";
import { innerCases } from "./inner.ts";
import { longCases } from "./long.ts";
import { mixedCases } from "./mixed.ts";
import { sampledCases } from "./sampled.ts";
import { splitCases } from "./split.ts";

export function pathCases(): readonly ConformanceCase[] {
  return [
    ...mixedCases(),
    ...chunkedCases(),
    ...splitCases(),
    ...fusedCases(),
    ...innerCases(),
    ...sampledCases(),
    ...longCases(),
  ];
}
