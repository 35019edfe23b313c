// A compiled graph on the device: the frame, and figures for benchmarks.

import { ProgramFrame, type ProgramParts } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Gpu } from "../gpu.ts";
import type { WebGpuExecutor } from "./executor.ts";
import type { Meter } from "./submit.ts";

export class WebGpuProgram extends ProgramFrame<PoolMemory> {
  /** Dispatches so far; where it has a profile, submissions are timed by kernel. */
  readonly meter: Meter;
  readonly gpu: Gpu;

  constructor(parts: ProgramParts<PoolMemory>, { meter, gpu }: WebGpuExecutor) {
    super(parts);
    this.meter = meter;
    this.gpu = gpu;
  }

  /** Whether the device has timestamps for a profile. */
  get canProfile(): boolean {
    return this.gpu.device.features.has("timestamp-query");
  }
}
