// All operation cases, in the order of the operations.

import type { OpCase } from "./case.ts";
import { attentionCases } from "./ops/attention.ts";
import { addCases, embeddingCases, rmsNormCases, swigluCases } from "./ops/elementwise.ts";
import { linearCases } from "./ops/linear.ts";
import { ropeCases } from "./ops/rope.ts";

export function opCases(): readonly OpCase[] {
  return [
    ...embeddingCases(),
    ...rmsNormCases(),
    ...linearCases(),
    ...ropeCases(),
    ...attentionCases(),
    ...swigluCases(),
    ...addCases(),
  ];
}
