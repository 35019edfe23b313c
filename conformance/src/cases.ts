// All cases, addressable alike: single operations, then chains of them, then models, then the paths of real use. Cheap
// ones come first within operations, chains and models.

import type { Device } from "@polyllama/core/device";
import type { ConformanceCase } from "./case.ts";
import { chainCases } from "./chains.ts";
import { modelCases, vocabularyCases } from "./models/index.ts";
import { opCases, trainingOpCases } from "./ops/index.ts";
import { runCase } from "./ops/op-case.ts";
import { pathCases } from "./paths/index.ts";

/** Every case of the suite. */
export function conformanceCases(): readonly ConformanceCase[] {
  const ops = [...opCases(), ...trainingOpCases()].map((testCase) => ({
    address: testCase.address,
    run: (device: Device, seed: number) => runCase(testCase, device, seed),
  }));
  return [...ops, ...chainCases(), ...modelCases(), ...vocabularyCases(), ...pathCases()];
}
