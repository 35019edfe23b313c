// All cases, addressable alike: single operations in the order of the graph's, then chains of them, then models, then the paths of
// real use. Cheap ones come first within operations, chains and models.

import type { Backend } from "@polyllama/core";
import { type CaseResult, type OpCase, runCase } from "./case.ts";
import { chainCases } from "./chains.ts";
import { modelCases } from "./model-cases.ts";
import { attentionCases } from "./ops/attention.ts";
import { addCases, embeddingCases, rmsNormCases, swigluCases } from "./ops/elementwise.ts";
import { linearCases } from "./ops/linear.ts";
import { ropeCases } from "./ops/rope.ts";
import { pathCases } from "./paths/index.ts";
import { vocabularyCases } from "./vocabularies.ts";

/** Something that a backend is held to. */
export interface ConformanceCase {
  readonly address: string;
  /** Takes longer than tests should; `npm run conformance` has it. */
  readonly slow?: boolean;
  /**
   * Equal seeds give equal weights and inputs.
   *
   * @param lowered The same backend under `loweredLimits`, for what only large models split otherwise; without it, or where a
   * backend splits nothing, such cases are absent.
   */
  run(backend: Backend, seed: number, lowered?: Backend): Promise<CaseResult>;
}

/** All cases of single operations, at the shapes of 7B, 13B and 70B among others. */
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

/** Every case of the suite. */
export function conformanceCases(): readonly ConformanceCase[] {
  const ops = opCases().map((testCase) => ({
    address: testCase.address,
    run: (backend: Backend, seed: number) => runCase(testCase, backend, seed),
  }));
  return [...ops, ...chainCases(), ...modelCases(), ...vocabularyCases(), ...pathCases()];
}
