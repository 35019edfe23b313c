// @polyllama/training/node: what needs files. Files of tokens, and runs with checkpoints, log and report.

export { fileChunks } from "./data/file-chunks.ts";
export { openTokenFile, type TokenFile } from "./data/token-file.ts";
export type { TokenHeader } from "./data/token-format.ts";
export { writeTokenFile } from "./data/token-writer.ts";

export {
  type LogEntry,
  logPath,
  readLog,
  type Sample,
  type SamplesEntry,
  type StartEntry,
  type StepEntry,
  type ValidationEntry,
} from "./run/log.ts";
export { reportPath, writeReport } from "./run/report.ts";
export { type RunEvent, type RunOptions, type RunResult, runTraining } from "./run/run.ts";
export { savedCheckpoints } from "./run/saved.ts";
export { writeGradients } from "./run/write-gradients.ts";
