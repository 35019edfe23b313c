// All cases, addressable alike: single operations, then chains of them, then models, then the paths of real use. Cheap
// ones come first within operations, chains and models.

import type { Device } from "@polyllama/core/device";
import type { ConformanceCase } from "./case.ts";
import { chainCases } from "./chains.ts";
import { modelCases, vocabularyCases } from "./models/index.ts";
import { opCases, trainingOpCases } from "./ops/index.ts";
import { type OpCase, runCase } from "./ops/op-case.ts";
import { pathCases } from "./paths/index.ts";
import { wholeGradientCases } from "./training/gradients.ts";
import { lossCases } from "./training/losses.ts";

/** Every case of the suite. */
export function conformanceCases(): readonly ConformanceCase[] {
  const ops = opCases().map((testCase) => single(testCase));
  const training = trainingOpCases().map((testCase) => ({ ...single(testCase), training: true }));
  return [
    ...ops,
    ...training,
    ...chainCases(),
    ...modelCases(),
    ...vocabularyCases(),
    ...pathCases(),
    ...wholeGradientCases(),
    ...lossCases(),
  ];
}

function single(testCase: OpCase): ConformanceCase {
  const { address, slow = false } = testCase;
  const run = (device: Device, seed: number) => runCase(testCase, device, seed);
  return { address, ...(slow && { slow }), run };
}
