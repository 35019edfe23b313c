// What is asked of WebGPU in a process of its own.

import type { WeightInfo, WeightName } from "@polyllama/core";
import type { LlamaConfig } from "polyllama";
import type { DeviceFits } from "../fit.ts";
import type { MemoryRow } from "../memory.ts";
import type { BackendReport } from "../try-backend.ts";

/** A model whose memory is estimated, as it goes to another process. */
export interface Subject {
  readonly config: LlamaConfig;
  readonly weights: readonly (readonly [WeightName, WeightInfo])[];
}

/** The answer to each task. */
export interface Answers {
  /** Whether the backend works. */
  readonly try: BackendReport;
  /** What a model takes. */
  readonly memory: readonly MemoryRow[];
  /** Which published models fit, on each adapter. */
  readonly fits: readonly DeviceFits[];
}

export type TaskName = keyof Answers;

export interface Task {
  readonly name: TaskName;
  readonly subject?: Subject;
}

export type Reply = { readonly answer: Answers[TaskName] } | { readonly reason: string };
