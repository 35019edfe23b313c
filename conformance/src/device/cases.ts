// What every device keeps of the contract beside numbers: KV blocks that are shared and given back, steps that are
// submitted before the last one is done, aborted or refused, tokens that are chosen where the logits are, parameters
// that programs share, and ends in order.

import { abortCases } from "./abort.ts";
import { adapterCases } from "./adapters.ts";
import { blockCases } from "./blocks.ts";
import type { DeviceCase } from "./case.ts";
import { chainCases } from "./chains.ts";
import { cutCases } from "./cuts.ts";
import { disposeCases } from "./dispose.ts";
import { parameterCases } from "./parameters.ts";
import { refusalCases } from "./refusals.ts";
import { stepCases } from "./steps.ts";
import { tokenCases } from "./tokens.ts";
import { trainingCases } from "./training.ts";

export const deviceCases: readonly DeviceCase[] = [
  ...blockCases,
  ...stepCases,
  ...cutCases,
  ...abortCases,
  ...refusalCases,
  ...tokenCases,
  ...chainCases,
  ...parameterCases,
  ...adapterCases,
  ...trainingCases,
  ...disposeCases,
];
