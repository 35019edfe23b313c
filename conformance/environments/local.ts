// This process as an environment.

import { conformanceCases } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import type { Environment } from "./environment.ts";

/** @param createLowered Opens the same device under `loweredLimits`; called for the cases that need it. */
export function local(device: Device, createLowered?: () => Promise<Device>): Environment {
  let lowered: Promise<Device> | undefined;
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
      if (other !== undefined) await other[Symbol.asyncDispose]();
    },
  };
}
