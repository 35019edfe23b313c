// @polyllama/conformance: proof that backends agree.

// The suite: every case, by address
export { addressFilter } from "./address.ts";
export type { ConformanceCase } from "./cases.ts";
export { conformanceCases } from "./cases.ts";

// Limits under which small models are split as large ones are
export { loweredLimits } from "./paths/split.ts";

// Single operations against derived bounds
export type { CaseResult, OpCase } from "./case.ts";
export { runCase } from "./case.ts";
export { opCases } from "./cases.ts";

// Whole models and single layers
export type { ModelCase } from "./model-cases.ts";
export { modelCases } from "./model-cases.ts";

// Results in the light of what is known to fail
export type { Expectations, Verdict } from "./expectations.ts";
export { judge, unmatched } from "./expectations.ts";
export type { BackendResults, SkippedBackend } from "./summary.ts";
export { casesNotRun, summarize } from "./summary.ts";

// Whole models against an estimated tolerance
export type { Tolerance, ToleranceOptions } from "./tolerance.ts";
export { estimateTolerance, greedyAgreement, worstShare } from "./tolerance.ts";

// Backends compared on a model, on this device
export type { CompareOptions, ModelSource, Unavailable } from "./model/compare.ts";
export { compareModel } from "./model/compare.ts";
export type {
  Compared,
  Divergence,
  EndToEnd,
  LayerFinding,
  Measured,
  ModelComparison,
  NotRun,
  OpFinding,
  Share,
} from "./model/result.ts";
export { exceeds } from "./model/result.ts";
export { shareText } from "./model/verdict.ts";
export { affordableTokens } from "./model/work.ts";

// What they found, for people
export type { Facts } from "./report/html.ts";
export { htmlReport, layerPlot } from "./report/html.ts";
export type { Cell, Table } from "./report/tables.ts";
export { comparisonTables } from "./report/tables.ts";
