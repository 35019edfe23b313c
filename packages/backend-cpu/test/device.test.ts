// What the device keeps of the contract beside numbers: shared blocks, steps in flight, aborts, ends; in both kinds of
// activations, as they take different plans.

import { devices } from "@polyllama/conformance/vitest";
import { describe } from "vitest";
import { cpu } from "../src/index.ts";

for (const activations of ["int8", "f32"] as const) {
  describe(`cpu, activations ${activations}`, () => devices(() => cpu({ threads: 2, activations })));
}
