// @polyllama/backend-reference: the executable specification of every op.

export { type ReferenceOptions, reference } from "./reference.ts";

// How far others may be from it
export { type BoundedTensor, runWithBounds } from "./bounded.ts";
export type { Rounding } from "./bounds.ts";
export { dotError } from "./bounds.ts";
export type { Perturbation } from "./perturb.ts";
