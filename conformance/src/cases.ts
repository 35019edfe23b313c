// All cases, addressable alike: single operations in the order of the graph's, then chains of them, then models. Cheap ones come
// first within all three.

import type { Backend } from "@polyllama/core";
import { type CaseResult, type OpCase, runCase } from "./case.ts";
import { chainCases } from "./chains.ts";
import { modelCases } from "./model-cases.ts";
import { attentionCases } from "./ops/attention.ts";
import { addCases, embeddingCases, rmsNormCases, swigluCases } from "./ops/elementwise.ts";
import { linearCases } from "./ops/linear.ts";
import { ropeCases } from "./ops/rope.ts";
import { vocabularyCases } from "./vocabularies.ts";

/** Something that a backend is held to. */
export interface ConformanceCase {
  readonly address: string;
  /** Equal seeds give equal weights and inputs. */
  run(backend: Backend, seed: number): Promise<CaseResult>;
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
  return [...ops, ...chainCases(), ...modelCases(), ...vocabularyCases()];
}
