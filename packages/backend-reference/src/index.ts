// @polyllama/backend-reference: the executable specification of the seven operations.

export type { ReferenceOptions } from "./backend.ts";
export { reference } from "./backend.ts";
export type { Rounding } from "./bounds.ts";
export { dotError } from "./bounds.ts";
export type { Perturbation } from "./program.ts";
