// @polyllama/conformance: proof that backends agree.

// The suite: every case, by address
export { addressFilter } from "./address.ts";
export type { CaseResult, ConformanceCase } from "./case.ts";
export { conformanceCases } from "./cases.ts";

// Limits under which small models are split as large ones are
export { loweredLimits } from "./paths/split.ts";

// Single operations against derived bounds
export { opCases, trainingOpCases } from "./ops/index.ts";
export type { OpCase, OpScript } from "./ops/op-case.ts";
export { runCase } from "./ops/op-case.ts";

// Gradients against central differences, and steps of training
export type { GradientCase, GradientScript } from "./gradients/cases.ts";
export { gradientCases } from "./gradients/cases.ts";
export { checkGradient } from "./gradients/check.ts";
export type { GradientPrograms, Gradients } from "./gradients/run.ts";
export { compileGradient, gradientsOf, runGradient } from "./gradients/run.ts";

// Training runs from one seed, against golden losses
export type { GoldenLosses } from "./training/losses.ts";
export { goldenLosses, goldenTolerance, lossCurve, lossSteps } from "./training/losses.ts";

// Whole models and single layers
export { modelCases } from "./models/index.ts";

// Results in the light of what is known to fail
export type { Expectations, Verdict } from "./expectations.ts";
export { isAsExpected, judge, unmatched } from "./expectations.ts";
export { besideLines } from "./beside.ts";
export type { Bounds, Widened } from "./bounds.ts";
export { boundsOf, inNameOf, widened } from "./bounds.ts";
export type { BackendResults, SkippedBackend } from "./summary.ts";
export { casesNotRun, summarize } from "./summary.ts";

// Whole models against an estimated tolerance
export type { Choices } from "./comparison/choices.ts";
export { compareChoices, tooFewDecided } from "./comparison/choices.ts";
export { greedyTokens } from "./comparison/greedy.ts";
export type { Tolerance, ToleranceOptions } from "./comparison/tolerance.ts";
export { estimateTolerance, worstShare } from "./comparison/tolerance.ts";

// Backends compared on a model, on this device
export type { CompareOptions, ModelSource, Unavailable } from "./parity/compare.ts";
export { compareModel } from "./parity/compare.ts";
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
} from "./parity/result.ts";
export { exceeds } from "./parity/result.ts";
export { shareText } from "./parity/verdict.ts";
export { affordableTokens } from "./parity/work.ts";

// What they found, for people
export type { Facts } from "./report/html.ts";
export { htmlReport, layerPlot } from "./report/html.ts";
export type { Cell, Table } from "./report/tables.ts";
export { comparisonTables } from "./report/tables.ts";

// Devices and programs that do what others do, but for what is given
export { forwardDevice, forwardDeviceProgram } from "./forward.ts";
export { goldenLossTolerance } from "./comparison/constants.ts";
