// All cases of single operations, in the order of the graph's; cheap ones come first within an operation.

import { type OpName, opNames, type PerOp } from "@polyllama/core";
import { addCases } from "./add.ts";
import { attentionCases } from "./attention.ts";
import { embeddingCases } from "./embedding.ts";
import { linearCases } from "./linear.ts";
import type { OpCase } from "./op-case.ts";
import { rmsNormCases } from "./rms-norm.ts";
import { ropeCases } from "./rope.ts";
import { swigluCases } from "./swiglu.ts";

const casesOf: PerOp<Record<OpName, () => readonly OpCase[]>> = {
  embedding: embeddingCases,
  rmsNorm: rmsNormCases,
  linear: linearCases,
  rope: ropeCases,
  attention: attentionCases,
  swiglu: swigluCases,
  add: addCases,
};

/** All cases of single operations, at the shapes of 7B, 13B and 70B among others. */
export function opCases(): readonly OpCase[] {
  return opNames.flatMap((op) => casesOf[op]());
}
