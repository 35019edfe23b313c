// The conformance suite on every instruction set that this machine has, with activations in f32 and in int8. The best
// one has all of it but the sizes of large models; the others have single operations at small sizes, as what computes
// models is common to all. All sizes on all sets: `npm test -- --full`.

import { isLarge, isOfTraining, isSample } from "@polyllama/conformance/selections";
import { conformance } from "@polyllama/conformance/vitest";
import { full } from "@polyllama/test-support/full";
import { describe } from "vitest";
import { cpu, instructionSets } from "../src/index.ts";

const layers = /^model:layer:model=llama-2-(7b|70b);format=q4_0/;

for (const [number, instructionSet] of instructionSets().entries()) {
  const wanted =
    number === 0
      ? (address: string) => layers.test(address) || !isLarge(address)
      : (address: string) => isSample(address);
  for (const activations of ["f32", "int8"] as const) {
    describe(`${instructionSet}, ${activations}`, () => {
      conformance(() => cpu({ instructionSet, activations, threads: 2 }), {
        // Training is in f32 in both.
        filter: (address) => full || (wanted(address) && !(activations === "int8" && isOfTraining(address))),
        slow: full,
      });
    });
  }
}
