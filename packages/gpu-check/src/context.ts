// What a check meets: the machine, or what tests put in its place.

import type { CudaStatus } from "@polyllama/backend-cuda";
import type { ConformanceCase } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import type { BenchOptions } from "./speed/measure.ts";
import type { BenchTask } from "./speed/tasks.ts";

export interface GpuCheckContext {
  readonly version: string;
  readonly signal: AbortSignal;
  /** A line of the result. */
  readonly print: (line?: string) => void;
  /** What is being done. */
  readonly note: (line: string) => void;
  readonly createBackend: (name: "cuda" | "webgpu") => Promise<Device>;
  readonly card: () => CudaStatus;
  /** Bytes per second. */
  readonly copyBandwidth: () => Promise<number>;
  /** Floating point operations per second. */
  readonly tensorPeak: () => Promise<number>;
  readonly findProgram: (name: string) => string | undefined;
  /** Default: the whole suite. */
  readonly cases?: readonly ConformanceCase[];
  readonly tasks: readonly BenchTask[];
  readonly bench?: Pick<BenchOptions, "cache" | "tokens">;
}
