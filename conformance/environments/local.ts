// This process as an environment.

import { conformanceCases } from "@polyllama/conformance";
import { type DeviceOption, deviceOf } from "@polyllama/core/device";
import type { Environment } from "./environment.ts";

/** @param createLowered Opens the same device under `loweredLimits`; called for the cases that need it. */
export function local(given: DeviceOption, createLowered?: () => Promise<DeviceOption>): Environment {
  const device = deviceOf(given);
  let lowered: Promise<DeviceOption> | undefined;
  const cases = new Map(conformanceCases().map((entry) => [entry.address, entry]));
  return {
    info: device.describe(),
    addresses: [...cases.keys()],
    async run(address, seed) {
      if (address.startsWith("path:split:")) lowered ??= createLowered?.();
      return cases.get(address)!.run(device, seed, await lowered);
    },
    async [Symbol.asyncDispose]() {
      await device[Symbol.asyncDispose]();
      const other = await lowered;
      if (other !== undefined) await deviceOf(other)[Symbol.asyncDispose]();
    },
  };
}
