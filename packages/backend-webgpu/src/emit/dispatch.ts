// What a plan's steps become: kernels with their buffers and parameters, as data that names its buffers. Who runs them
// binds the names.

import type { CacheFormat, WeightName } from "@polyllama/core";
import type { Place, Plan, PlanBuffer, RowSet } from "@polyllama/planner";
import type { HeadRange } from "../cache/layout.ts";
import type { KernelFamily, PipelineSpec } from "../gpu.ts";
import type { Mode } from "../modes.ts";
import type { MatrixPart, WeightLayout } from "../weights/layout.ts";

export type Resource =
  | { readonly kind: "activations"; readonly buffer: PlanBuffer }
  | { readonly kind: "quants" | "scales"; readonly part: MatrixPart }
  | { readonly kind: "vector"; readonly name: WeightName }
  | { readonly kind: "tokens" | "rotation" | "selection" | "tables" | "partials" };

/** Buffers of a part of a pool, beside others. */
export type PoolResource = Resource | { readonly kind: "keys" } | { readonly kind: "values" };

/** Workgroups along x, y and z. */
export type Grid = readonly [number, number, number];

/** A pipeline for up to so many rows. */
export interface Variant {
  readonly rows: number;
  readonly spec: PipelineSpec;
  grid(rows: number): Grid;
}

/** A kernel with its buffers; of its variants the first that is made for as many rows is taken. */
export interface Dispatch {
  /** For errors: the operation, its format and shapes. */
  readonly label: string;
  readonly variants: readonly Variant[];
  readonly resources: readonly Resource[];
  /** The kernel's uniform, as its struct encodes it. */
  readonly parameters: ArrayBuffer;
  readonly rows: RowSet;
  /** Multiplications per row, to keep submissions short. */
  readonly work: number;
}

/** A kernel over KV blocks of one pool, in buffers of some of its heads. It passes over sequences of other pools. */
export interface PoolDispatch {
  readonly label: string;
  readonly spec: PipelineSpec;
  readonly resources: readonly PoolResource[];
  readonly parameters: ArrayBuffer;
  grid(rows: PoolRows): Grid;
}

/** What a chunk has in a pool. */
export interface PoolRows {
  /** Sequences of the chunk, those of other pools included. */
  readonly segments: number;
  /** Most rows by which a sequence of the pool advances in the chunk. */
  readonly rows: number;
  /** Positions of the longest of them. */
  readonly length: number;
}

/** The part of a pool that a {@link PoolDispatch} is for. */
export interface PoolPlace {
  /** Number of the pool. */
  readonly pool: number;
  readonly heads: HeadRange;
  readonly format: CacheFormat;
}

/** What a step becomes: dispatches for all rows, or for those of each pool. */
export type Emitted =
  | { readonly dispatches: readonly Dispatch[] }
  | {
      pooled(place: PoolPlace): readonly PoolDispatch[];
      /** Multiplications per row and key. */
      readonly work: number;
    };

/** What emitters know beside their step. */
export interface Emission {
  readonly mode: Mode;
  readonly family: KernelFamily;
  readonly subgroups: boolean;
  readonly layout: Pick<WeightLayout, "parts">;
  readonly plan: Pick<Plan, "rotationStride">;
}

export function activations({ buffer }: Place): Resource {
  return { kind: "activations", buffer };
}

/** The single dispatch of a kernel with an invocation per element, 64 to a workgroup, rows along y. */
export function elementwise(
  { label, rows }: Pick<Dispatch, "label" | "rows">,
  spec: PipelineSpec,
  parameters: ArrayBuffer,
  resources: readonly Resource[],
  width: number,
): Emitted {
  const grid = (count: number): Grid => [Math.ceil(width / 64), count, 1];
  return {
    dispatches: [
      { label, variants: [{ rows: Number.POSITIVE_INFINITY, spec, grid }], resources, parameters, rows, work: 0 },
    ],
  };
}
