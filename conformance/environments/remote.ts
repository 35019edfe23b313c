// The far side of an environment: opens a backend and runs single cases on it. Needs nothing but what every runtime has.

import { conformanceCases, loweredLimits } from "@polyllama/conformance";
import type { Backend } from "@polyllama/core";
import type { Remote, RemoteBackend } from "./environment.ts";

/** Only what is asked for is loaded. */
export async function createBackend({ name, ...options }: RemoteBackend): Promise<Backend> {
  switch (name) {
    case "reference":
      return (await import("@polyllama/backend-reference")).reference();
    case "webgpu":
      return (await import("@polyllama/backend-webgpu")).webgpu(options);
  }
}

export function createRemote(): Remote {
  const cases = new Map(conformanceCases().map((entry) => [entry.address, entry]));
  let backend: Backend | undefined;
  let createLowered: (() => Promise<Backend>) | undefined;
  let lowered: Promise<Backend> | undefined;
  return {
    async open(wanted) {
      if (wanted.name === "webgpu") createLowered = () => createBackend({ ...wanted, loweredLimits });
      backend = await createBackend(wanted);
      return { info: backend.describe(), addresses: [...cases.keys()] };
    },
    async run(address, seed) {
      if (address.startsWith("path:split:")) lowered ??= createLowered?.(); // another device, for those that need it
      return cases.get(address)!.run(backend!, seed, await lowered); // both were given by `open`
    },
  };
}
