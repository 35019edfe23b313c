// Faults in the formats of weights.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "q4_0-tie",
    file: "quantize/q4_0.ts",
    find: "if (largest < magnitude) {",
    replace: "if (largest <= magnitude) {",
    what: "of two values of one magnitude Q4_0 takes the sign of the last",
  },
];

export const formatsMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "formats" }));
