// A plan on the device: its steps as kernels that are compiled and bound to buffers. What goes over a sequence's cache is bound when
// the two first meet.

import { RotationTable } from "@polyllama/core";
import type { Plan, RowSet } from "@polyllama/planner";
import { type BoundDispatch, bind, parameterBuffer } from "./bindings.ts";
import type { Dispatch, Emitted, Grid, Resource } from "./emit/dispatch.ts";
import { emit } from "./emit/emit.ts";
import { type Gpu, usage } from "./gpu.ts";
import type { CacheBinding, CachePart, WebGpuKvCache } from "./kv-cache.ts";
import type { Mode } from "./modes.ts";
import type { Scratch } from "./scratch.ts";
import type { WeightLayout } from "./weights/layout.ts";
import type { DeviceWeights } from "./weights/upload.ts";

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
  /** A dispatch of the step, or one for each sequence, bound to their caches. */
  readonly kernel: BoundKernel | Extract<Emitted, { readonly sequence: unknown }>;
}

export interface PreparedPlan {
  readonly plan: Plan;
  readonly mode: Mode;
  readonly pieces: readonly Piece[];
  /** By the plan's buffers. */
  readonly buffers: readonly GPUBuffer[];
  readonly rotation: RotationTable;
  readonly rotationBuffer: GPUBuffer | undefined;
  readonly parameters: GPUBuffer;
}

/** @param rows Most rows of a chunk. @throws {MemoryError}; {@link PolyllamaError} `ERR_BACKEND` */
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
      if ("sequence" in of) return [{ step, kernel: of }];
      return of.dispatches.map((dispatch) => ({ step, kernel: bound(dispatch, at++) }));
    });
    const rotation = new RotationTable(plan.rotations);
    return { plan, mode, pieces, buffers, rotation, rotationBuffer, parameters: buffer };
  });
}

/** Binds a plan to a cache that is the chunk's segment of this number; made once. */
export async function bindCache(
  home: Home,
  prepared: PreparedPlan,
  cache: WebGpuKvCache,
  segment: number,
): Promise<CacheBinding> {
  const known = cache.bindings.get(prepared)?.[segment];
  if (known !== undefined) return known;
  const { gpu, scratch } = home;
  const listed = prepared.pieces.map(({ step, kernel }) => {
    const own = prepared.plan.steps[step]!;
    if (!("sequence" in kernel) || !("attention" in own)) return [];
    return cache.parts[own.attention.index]!.flatMap((part) =>
      kernel.sequence({ segment, heads: part.heads, format: cache.format }).map((dispatch) => ({ dispatch, part })),
    );
  });
  const flat = listed.flat();
  const pipelines = await Promise.all(flat.map(({ dispatch }) => gpu.pipeline(dispatch.spec)));
  const binding = gpu.guarded("bindings of a cache", () => {
    const { buffer, offset } = parameterBuffer(
      gpu,
      flat.map(({ dispatch }) => dispatch.parameters),
    );
    const resource = (of: Resource, part: CachePart): GPUBuffer => {
      if (of.kind === "keys" || of.kind === "values") return part[of.kind];
      if (of.kind === "partials") return cache.partials;
      return bufferOf(of, home, prepared.buffers, prepared.rotationBuffer);
    };
    let at = 0;
    const pieces = listed.map((list) =>
      list.map(({ dispatch: { label, resources, grid }, part }) => {
        const own = resources.map((of) => resource(of, part));
        const place = { buffer, offset: offset(at) };
        return { ...bind(gpu, scratch.step, label, pipelines[at++]!, place, own), grid };
      }),
    );
    return { buffer, pieces };
  });
  const bySegment = cache.bindings.get(prepared) ?? [];
  bySegment[segment] = binding.result;
  cache.bindings.set(prepared, bySegment);
  await binding.check;
  return binding.result;
}

function bufferOf(
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
    case "rotation":
      return rotation!; // its table is as wide as the plan's rotations
    default:
      throw new Error(`${resource.kind} belong to a cache`);
  }
}
