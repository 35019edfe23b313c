// Kernels of a plan, bound to the buffers of a pool.

import type { Grid, PoolRows } from "../emit/dispatch.ts";
import type { BoundDispatch } from "./bindings.ts";

/** What is bound to buffers that grow. */
export interface Binding {
  /** Uniforms of its kernels; whoever drops the binding frees them. */
  readonly parameters: GPUBuffer;
  /** Of the buffers that grow. */
  readonly version: number;
}

/** A kernel over KV blocks, and its workgroups. */
export interface BoundPoolDispatch extends BoundDispatch {
  grid(rows: PoolRows): Grid;
}

/** A plan bound to a pool. */
export interface PoolBinding extends Binding {
  /** By the plan's pieces. */
  readonly pieces: readonly (readonly BoundPoolDispatch[])[];
}

/** A plan, as a pool knows it that it is bound to. */
export interface BoundPlan {
  /** Pools that it is bound to, and which have the bindings. */
  readonly pools: Set<object>;
}
