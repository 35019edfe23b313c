// @polyllama/backend-reference: the executable specification of every op.

export type { ReferenceOptions } from "./backend.ts";
export { compileReference, reference } from "./backend.ts";

// How far others may be from it
export type { Rounding } from "./bounds.ts";
export { dotError } from "./bounds.ts";
export type { Perturbation } from "./perturb.ts";
export type { BoundedTensor, ReferenceProgram } from "./program.ts";
