// What emitters of launches know of a chunk: how many rows it has, and where everything is.

import type { Place, PlacedRotation, Plan, PlanAttention, Norm as PlanNorm, PlanStep } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Heads } from "../kernels/heads.ts";
import type { Norm } from "../kernels/rms_norm.ts";
import type { Rotation } from "../kernels/rope.ts";
import type { DeviceRows } from "../launch.ts";
import type { Mode } from "../modes.ts";
import type { LoadedWeights } from "../weights/loaded.ts";

export interface Emitting {
  readonly mode: Mode;
  readonly plan: Plan;
  readonly weights: LoadedWeights;
  readonly rows: number;
  /** Rows that are selected. */
  readonly selected: number;
  /** Parts of keys that the longest sequence has, at least. */
  readonly parts: number;
  /** Addresses of the rows as kernels read them. */
  readonly step: Handle;
  /** Of the numbers of selected rows, u32. */
  readonly selection: Handle;
  /** Of cosines and sines of all rows. */
  readonly rotations: Handle;
  /** Of memory for partial sums of attention. */
  readonly partials: Handle;
  /** Of memory for activations, and where each buffer of the plan lies in it, in words. */
  readonly arena: Handle;
  readonly offsets: readonly number[];
}

/** Rows that a step computes, or that a buffer has. */
export function countOf({ rows }: Pick<PlanStep, "rows">, e: Pick<Emitting, "rows" | "selected">): number {
  return rows === "all" ? e.rows : e.selected;
}

export function rowsAt({ buffer, offset, width }: Place, e: Pick<Emitting, "arena" | "offsets">): DeviceRows {
  const words = e.offsets[buffer.id]! + offset; // each buffer of the plan has an offset
  return { address: e.arena + BigInt(4 * words), width, stride: buffer.stride };
}

export function normAt({ weight, eps }: PlanNorm, { weights }: Emitting): Norm {
  return { weight: weights.vector(weight), eps };
}

export function rotationAt({ offset }: PlacedRotation, { rotations, plan }: Emitting): Rotation {
  return { address: rotations + BigInt(8 * offset), stride: plan.rotationStride };
}

/** An attention as kernels are told of it. */
export function headsOf({ index, heads, kvHeads, headDim }: PlanAttention, { plan }: Emitting): Heads {
  const others = plan.attentions.slice(0, index);
  return { heads, kvHeads, headDim, before: others.reduce((sum, each) => sum + 2 * each.kvHeads * each.headDim, 0) };
}
