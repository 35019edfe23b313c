// The conformance suite on every instruction set that this machine has, with activations in f32 and in int8; the sizes
// of large models only in `npm test -- --full`.

import { isLarge } from "@polyllama/conformance/selections";
import { conformance } from "@polyllama/conformance/vitest";
import { full } from "@polyllama/test-support/full";
import { describe } from "vitest";
import { cpu, instructionSets } from "../src/index.ts";

for (const instructionSet of instructionSets()) {
  for (const activations of ["f32", "int8"] as const) {
    describe(`${instructionSet}, ${activations}`, () => {
      conformance(() => cpu({ instructionSet, activations, threads: 2 }), {
        filter: (address) => full || !isLarge(address),
        slow: full,
      });
    });
  }
}
