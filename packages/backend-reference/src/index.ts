// @polyllama/backend-reference: the executable specification of every op.

export { referenceDevice } from "./device.ts";
export type { BoundedTensor, ReferenceOptions, ReferenceProgram } from "./reference.ts";
export { compileReference, reference } from "./reference.ts";

// How far others may be from it
export type { Rounding } from "./bounds.ts";
export { dotError } from "./bounds.ts";
export type { Perturbation } from "./perturb.ts";
