// A plan on the device: its steps as kernels that are compiled and bound to buffers, but for what goes over KV blocks
// and what chooses tokens: see bind-plan.ts.

import { RotationTable, type ValueName } from "@polyllama/core";
import type { Plan, RowSet } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Dispatch, Emitted, Grid, Resource } from "../emit/dispatch.ts";
import { emit } from "../emit/emit.ts";
import { type Gpu, usage } from "../gpu.ts";
import type { Mode } from "../modes.ts";
import type { WeightLayout } from "../weights/layout.ts";
import type { DeviceWeights } from "../weights/upload.ts";
import { type BoundDispatch, bind, parameterBuffer } from "./bindings.ts";
import type { Binding, BoundPlan } from "./pool-binding.ts";
import type { Scratch } from "./scratch.ts";

/** What plans of a program are bound to. */
export interface Home {
  readonly gpu: Gpu;
  readonly layout: WeightLayout;
  readonly weights: DeviceWeights;
  readonly scratch: Scratch;
}

interface BoundVariant extends BoundDispatch {
  /** Most rows that it is meant for. */
  readonly rows: number;
  grid(rows: number): Grid;
}

/** A dispatch in its variants. */
interface BoundKernel {
  readonly rows: RowSet;
  /** Multiplications per row. */
  readonly work: number;
  readonly variants: readonly BoundVariant[];
}

/** What a chunk dispatches between two points where a submission may end. */
export interface Piece {
  /** Number of its step. */
  readonly step: number;
  /** A dispatch of the step, or one for each pool, bound to its buffers. */
  readonly kernel: BoundKernel | Extract<Emitted, { readonly pooled: unknown }>;
}

/** What chooses tokens from a value of a plan. */
export interface SamplerBinding extends Binding {
  readonly dispatch: BoundDispatch;
  /** Number of the value, by which the kernel knows its draws. */
  readonly source: number;
}

export interface PreparedPlan extends BoundPlan {
  readonly plan: Plan;
  readonly mode: Mode;
  readonly pieces: readonly Piece[];
  /** By the plan's buffers. */
  readonly buffers: readonly GPUBuffer[];
  readonly rotation: RotationTable;
  readonly rotationBuffer: GPUBuffer | undefined;
  readonly parameters: GPUBuffer;
  /** Pools that it is bound to, and which have the bindings. */
  readonly pools: Set<PoolMemory>;
  readonly samplers: Map<ValueName, SamplerBinding>;
}

/** @param rows Most rows of a chunk. @throws {MemoryError}; `PolyllamaError` `ERR_BACKEND` */
export async function preparePlan(home: Home, plan: Plan, mode: Mode, rows: number): Promise<PreparedPlan> {
  const { gpu, layout, scratch } = home;
  const { family, features } = gpu;
  const emission = { mode, family, subgroups: features.subgroups, layout, plan };
  const emitted = plan.steps.map((step) => emit(step, emission));
  const flat = emitted.flatMap((step) => ("dispatches" in step ? step.dispatches : []));
  const pipelines = new Map(
    await Promise.all(
      flat.map(async ({ variants }) => {
        return [variants, await Promise.all(variants.map(({ spec }) => gpu.pipeline(spec)))] as const;
      }),
    ),
  );
  return gpu.guard(`buffers of a ${mode} plan`, () => {
    const buffers = scratch.assign(plan, rows);
    const rotationBytes = plan.rotationStride * 8 * rows;
    const rotationBuffer =
      rotationBytes === 0 ? undefined : scratch.buffer("rotation", rotationBytes, usage.storage | usage.copyTarget);
    const { buffer, offset } = parameterBuffer(
      gpu,
      flat.map(({ parameters }) => parameters),
    );
    scratch.keep(buffer);
    const resource = (of: Resource): GPUBuffer => bufferOf(of, home, buffers, rotationBuffer);
    const bound = ({ label, rows: set, work, variants, resources }: Dispatch, at: number): BoundKernel => {
      const own = resources.map(resource);
      return {
        rows: set,
        work,
        variants: variants.map(({ rows: most, grid }, i) => {
          const pipeline = pipelines.get(variants)![i]!;
          const dispatch = bind(gpu, scratch.step, label, pipeline, { buffer, offset: offset(at) }, own);
          return { ...dispatch, rows: most, grid };
        }),
      };
    };
    let at = 0;
    const pieces = emitted.flatMap((of, step): readonly Piece[] => {
      if ("pooled" in of) return [{ step, kernel: of }];
      return of.dispatches.map((dispatch) => ({ step, kernel: bound(dispatch, at++) }));
    });
    const rotation = new RotationTable(plan.rotations);
    const meetings = { pools: new Set<PoolMemory>(), samplers: new Map<ValueName, SamplerBinding>() };
    return { plan, mode, pieces, buffers, rotation, rotationBuffer, parameters: buffer, ...meetings };
  });
}

/** What a resource is bound to. */
export function bufferOf(
  resource: Resource,
  { weights, scratch }: Home,
  buffers: readonly GPUBuffer[],
  rotation: GPUBuffer | undefined,
): GPUBuffer {
  switch (resource.kind) {
    case "activations":
      return buffers[resource.buffer.id]!;
    case "quants":
    case "scales":
      return weights.parts.get(resource.part)![resource.kind];
    case "vector":
      return weights.vectors.get(resource.name)!;
    case "tokens":
    case "selection":
      return scratch[resource.kind];
    case "tables":
    case "partials":
      return scratch.growing.get(resource.kind);
    case "rotation":
      return rotation!; // its table is as wide as the plan's rotations
  }
}
