// What a plan's steps become: kernels with their buffers and parameters, as data that names its buffers. Who runs them binds the names.

import type { CacheFormat, WeightName } from "@polyllama/core";
import type { Place, Plan, PlanBuffer, RowSet } from "@polyllama/planner";
import type { KernelFamily, PipelineSpec } from "../gpu.ts";
import type { Mode } from "../modes.ts";
import type { MatrixPart, WeightLayout } from "../weights/layout.ts";

export type Resource =
  | { readonly kind: "activations"; readonly buffer: PlanBuffer }
  | { readonly kind: "quants" | "scales"; readonly part: MatrixPart }
  | { readonly kind: "vector"; readonly name: WeightName }
  | { readonly kind: "tokens" | "rotation" | "selection" }
  | { readonly kind: "keys" | "values" | "partials" };

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

/** A kernel that goes over the cache of one sequence, in buffers of some of its heads. */
export interface SequenceDispatch {
  readonly label: string;
  readonly spec: PipelineSpec;
  readonly resources: readonly Resource[];
  readonly parameters: ArrayBuffer;
  /** For so many rows that start at a position of the cache. */
  grid(rows: number, start: number): Grid;
}

/** A range of a cache's key/value heads, in buffers of their own. */
export interface HeadRange {
  readonly first: number;
  readonly count: number;
}

/** The sequence and the part of its cache that a {@link SequenceDispatch} is for. */
export interface CachePlace {
  /** Number of the sequence in its chunk. */
  readonly segment: number;
  readonly heads: HeadRange;
  readonly format: CacheFormat;
}

/** What a step becomes: dispatches for all sequences together, or for each of them. */
export type Emitted =
  | { readonly dispatches: readonly Dispatch[] }
  | {
      sequence(place: CachePlace): readonly SequenceDispatch[];
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
