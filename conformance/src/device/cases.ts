// What every device keeps of the contract beside numbers: KV blocks that are shared and given back, steps that are submitted before the
// last one is done, tokens that are chosen where the logits are, and parameters that programs share.

import { blockCases } from "./blocks.ts";
import type { DeviceCase } from "./case.ts";
import { parameterCases } from "./parameters.ts";
import { stepCases } from "./steps.ts";
import { tokenCases } from "./tokens.ts";

export const deviceCases: readonly DeviceCase[] = [...blockCases, ...stepCases, ...tokenCases, ...parameterCases];
