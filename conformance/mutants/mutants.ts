// All planted faults.

import { cpuMutants } from "./cpu-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { referenceMutants } from "./reference-mutants.ts";

export const mutants: readonly Mutant[] = [...referenceMutants, ...cpuMutants].map(named);

/** The same id in both packages would make `--only` ambiguous. */
function named(mutant: Mutant, at: number, all: readonly Mutant[]): Mutant {
  if (all.findIndex(({ id }) => id === mutant.id) !== at) throw new Error(`Two mutants are called ${mutant.id}.`);
  return mutant;
}
