// @polyllama/training/node: what needs files. Runs with checkpoints, log and report.

export {
  type LogEntry,
  logPath,
  readLog,
  type Sample,
  type SamplesEntry,
  type StartEntry,
  type StepEntry,
  type ValidationEntry,
} from "./log.ts";
export { reportPath, writeReport } from "./report.ts";
export { type RunEvent, type RunOptions, type RunResult, runTraining } from "./run.ts";
export { savedCheckpoints } from "./saved.ts";
export { writeGradients } from "./write-gradients.ts";
