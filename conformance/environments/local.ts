// This process as an environment.

import { conformanceCases } from "@polyllama/conformance";
import type { Backend } from "@polyllama/core";
import type { Environment } from "./environment.ts";

/** @param createLowered Opens the same backend under `loweredLimits`; called for the cases that need it. */
export function local(backend: Backend, createLowered?: () => Promise<Backend>): Environment {
  let lowered: Promise<Backend> | undefined;
  const cases = new Map(conformanceCases().map((entry) => [entry.address, entry]));
  return {
    info: backend.describe(),
    addresses: [...cases.keys()],
    async run(address, seed) {
      if (address.startsWith("path:split:")) lowered ??= createLowered?.();
      return cases.get(address)!.run(backend, seed, await lowered);
    },
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      await (await lowered)?.[Symbol.asyncDispose]();
    },
  };
}
