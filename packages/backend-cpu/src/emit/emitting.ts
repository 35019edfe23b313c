// What emitters know of a chunk: how many rows it has, and where everything is.

import type { Place, Plan, PlanAttention, PlanStep } from "@polyllama/planner";
import type { LoadedWeights } from "../weights/loaded.ts";

export interface Emitting {
  readonly plan: Plan;
  readonly weights: LoadedWeights;
  readonly rows: number;
  /** Rows that are selected. */
  readonly selected: number;
  /** The arena of activations, and where each buffer of the plan lies in it, in words. */
  readonly activations: bigint;
  readonly offsets: readonly number[];
}

/** Rows that a step computes, or that a buffer has. */
export function countOf({ rows }: Pick<PlanStep, "rows">, e: Pick<Emitting, "rows" | "selected">): number {
  return rows === "all" ? e.rows : e.selected;
}

export function refOf({ buffer, offset }: Place, e: Pick<Emitting, "activations" | "offsets">): bigint {
  return e.activations + 4n * BigInt(e.offsets[buffer.id]! + offset); // each buffer of the plan has an offset
}

/** An attention as kernels are told of it. */
export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Values in a block of one position before this attention's keys. */
  readonly before: number;
}

export function headsOf({ index, heads, kvHeads, headDim }: PlanAttention, { plan }: Emitting): Heads {
  const others = plan.attentions.slice(0, index);
  const before = others.reduce((sum, each) => sum + 2 * each.kvHeads * each.headDim, 0);
  return { heads, kvHeads, headDim, before };
}
