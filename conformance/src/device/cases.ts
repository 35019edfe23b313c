// What every device keeps of the contract beside numbers: KV blocks that are shared and given back, steps that are submitted before the
// last one is done, tokens that are chosen where the logits are, and parameters that programs share.

import type { Device } from "@polyllama/core/device";
import { blockCases } from "./blocks.ts";
import { parameterCases } from "./parameters.ts";
import { stepCases } from "./steps.ts";
import { tokenCases } from "./tokens.ts";

export interface DeviceCase {
  readonly name: string;
  /** What a device without this may leave out, in words; absent: every device has it. */
  readonly needs?: (device: Device) => string | undefined;
  run(device: Device): Promise<void>;
}

export const deviceCases: readonly DeviceCase[] = [...blockCases, ...stepCases, ...tokenCases, ...parameterCases];
