// @polyllama/conformance: proof that backends agree.

export type { Tolerance, ToleranceOptions } from "./tolerance.ts";
export { estimateTolerance, worstShare } from "./tolerance.ts";
