// This process as an environment.

import { conformanceCases } from "@polyllama/conformance";
import type { Backend } from "@polyllama/core";
import type { Environment } from "./environment.ts";

export function local(backend: Backend): Environment {
  const cases = new Map(conformanceCases().map((entry) => [entry.address, entry]));
  return {
    info: backend.describe(),
    addresses: [...cases.keys()],
    run: (address, seed) => cases.get(address)!.run(backend, seed),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}
