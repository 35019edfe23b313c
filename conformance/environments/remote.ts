// The far side of an environment: opens a device and runs single cases on it. Needs nothing but what every runtime has.

import { conformanceCases, loweredLimits } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import type { Remote, RemoteBackend } from "./environment.ts";

/** Only what is asked for is loaded. */
export async function openDevice({ name, ...options }: RemoteBackend): Promise<Device> {
  switch (name) {
    case "reference":
      return (await import("@polyllama/backend-reference")).reference();
    case "webgpu":
      return (await import("@polyllama/backend-webgpu")).webgpu(options);
  }
}

export function createRemote(): Remote {
  const cases = new Map(conformanceCases().map((entry) => [entry.address, entry]));
  let device: Device | undefined;
  let createLowered: (() => Promise<Device>) | undefined;
  let lowered: Promise<Device> | undefined;
  return {
    async open(wanted) {
      if (wanted.name === "webgpu") createLowered = () => openDevice({ ...wanted, loweredLimits });
      device = await openDevice(wanted);
      return { info: device.describe(), addresses: [...cases.keys()] };
    },
    async run(address, seed) {
      if (address.startsWith("path:split:")) lowered ??= createLowered?.(); // another device, for those that need it
      return cases.get(address)!.run(device!, seed, await lowered); // both were given by `open`
    },
  };
}
