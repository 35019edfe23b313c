// @polyllama/conformance: proof that backends agree.

// Single operations against derived bounds
export type { CaseResult, OpCase } from "./case.ts";
export { runCase } from "./case.ts";
export { opCases } from "./cases.ts";
export { addressFilter } from "./address.ts";

// Whole models against an estimated tolerance
export type { Tolerance, ToleranceOptions } from "./tolerance.ts";
export { estimateTolerance, worstShare } from "./tolerance.ts";
