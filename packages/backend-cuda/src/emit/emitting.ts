// What emitters of launches know of a chunk: how many rows it has, and where everything is.

import type { Place, PlacedRotation, Plan, PlanAttention, PlanStep } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Heads } from "../kernels/heads.ts";
import type { Norm } from "../kernels/rms_norm.ts";
import type { Rotation } from "../kernels/rope.ts";
import type { DeviceRows } from "../launch.ts";
import type { Mode } from "../modes.ts";
import type { LoadedWeights } from "../weights/loaded.ts";

/** A chunk's numbers and addresses. */
export interface ChunkPlace {
  readonly rows: number;
  readonly selected: number;
  /** Parts of keys that its longest sequence has, at least. */
  readonly parts: number;
  /** The rows as kernels read them, the numbers of those that are selected, u32, and cosines and sines of all. */
  readonly step: Handle;
  readonly selection: Handle;
  readonly rotations: Handle;
  /** For partial sums of attention. */
  readonly partials: Handle;
  /** For activations. */
  readonly arena: Handle;
}

export class Emitting {
  readonly mode: Mode;
  readonly weights: LoadedWeights;
  readonly chunk: ChunkPlace;
  readonly #plan: Plan;
  /** Of each buffer, in words behind the arena's beginning. */
  readonly #offsets: readonly number[];

  constructor(mode: Mode, plan: Plan, weights: LoadedWeights, chunk: ChunkPlace, offsets: readonly number[]) {
    this.mode = mode;
    this.weights = weights;
    this.chunk = chunk;
    this.#plan = plan;
    this.#offsets = offsets;
  }

  /** Rows that a step computes. */
  count({ rows }: Pick<PlanStep, "rows">): number {
    return rows === "all" ? this.chunk.rows : this.chunk.selected;
  }

  at({ buffer, offset, width }: Place): DeviceRows {
    const words = this.#offsets[buffer.id]! + offset; // each buffer of the plan has one
    return { address: this.chunk.arena + BigInt(4 * words), width, stride: buffer.stride };
  }

  norm({ weight, eps }: { readonly weight: string; readonly eps: number }): Norm {
    return { weight: this.weights.vector(weight), eps };
  }

  rotation({ offset }: PlacedRotation): Rotation {
    return { address: this.chunk.rotations + BigInt(8 * offset), stride: this.#plan.rotationStride };
  }

  /** An attention as kernels are told of it. */
  heads({ index, heads, kvHeads, headDim }: PlanAttention): Heads {
    const before = this.#plan.attentions
      .slice(0, index)
      .reduce((sum, other) => sum + 2 * other.kvHeads * other.headDim, 0);
    return { heads, kvHeads, headDim, before };
  }
}
