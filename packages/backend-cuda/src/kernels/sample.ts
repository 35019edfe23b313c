// Launches of sample.cu, and what the host says to it for each step.

import type { DrawOptions } from "@polyllama/core";
import { f32, f64, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs, Launch } from "../launch.ts";

const state = struct({
  p: f64,
  seed_low: u32,
  seed_high: u32,
  scale: f32,
  position: u32,
  top_k: u32,
  least: u32,
  greedy: u32,
  take: u32,
});
const parameters = struct({ logits: u64, table: u64, state: u64, rows: u64, chosen: u64, V: u32 });
export const structs: KernelStructs = { State: state, Parameters: parameters };

export const stateBytes: number = state.size;

/** The sampler's part of a step. */
export interface SampledStep {
  /** How many tokens there are before the one to be chosen. */
  readonly position: number;
  /** Whether the row's token is the one chosen last. */
  readonly take: boolean;
}

export function writeState(view: DataView, at: number, draw: DrawOptions, { position, take }: SampledStep): void {
  state.write(view, at, {
    p: draw.topP,
    seed_low: draw.seed % 2 ** 32,
    seed_high: Math.floor(draw.seed / 2 ** 32),
    scale: Math.LOG2E / draw.temperature,
    position,
    top_k: Math.min(draw.topK, 2 ** 32 - 1),
    least: Math.ceil(draw.minP * 2 ** 30),
    greedy: draw.temperature === 0 ? 1 : 0,
    take: take ? 1 : 0,
  });
}

/** Addresses of what both kernels read and write. */
export interface SampleAddresses {
  /** f32 [vocabulary] */
  readonly logits: Handle;
  readonly vocabulary: number;
  /** Core's table of powers, u32. */
  readonly table: Handle;
  readonly state: Handle;
  /** The step's only row. */
  readonly step: Handle;
  /** The token chosen last. */
  readonly chosen: Handle;
}

/** Puts the token chosen last into the step's row, before it; and chooses the next, behind it. */
export function sampleLaunches(at: SampleAddresses): { readonly take: Launch; readonly choose: Launch } {
  const encoded = parameters.encode({
    logits: at.logits,
    table: at.table,
    state: at.state,
    rows: at.step,
    chosen: at.chosen,
    V: at.vocabulary,
  });
  const launch = { image: "sample", grid: [1, 1, 1], parameters: encoded } as const;
  return {
    take: { ...launch, kernel: "take_token", threads: 32 },
    choose: { ...launch, kernel: "sample", threads: 512 },
  };
}
