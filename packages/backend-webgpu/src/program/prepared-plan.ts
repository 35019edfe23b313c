// A plan on the device: its steps as kernels that are compiled and bound to buffers. What goes over KV blocks is bound when plan and pool
// first meet, and what chooses tokens when they are first asked for; both anew when one of the buffers that grow has grown.

import { RotationTable, type ValueName } from "@polyllama/core";
import type { Plan, RowSet } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { PoolPart } from "../cache/pool-part.ts";
import type { Dispatch, Emitted, Grid, PoolResource, Resource } from "../emit/dispatch.ts";
import { emit } from "../emit/emit.ts";
import { type Gpu, usage } from "../gpu.ts";
import type { Mode } from "../modes.ts";
import type { WeightLayout } from "../weights/layout.ts";
import type { DeviceWeights } from "../weights/upload.ts";
import { type BoundDispatch, bind, parameterBuffer } from "./bindings.ts";
import type { Binding, BoundPlan, BoundPoolDispatch, PoolBinding } from "./pool-binding.ts";
import { sampleParameters, sampleSpec } from "./sampler.ts";
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

/** Binds a plan to a pool, once for each size of the buffers that grow. */
export async function bindPool(home: Home, prepared: PreparedPlan, pool: PoolMemory): Promise<PoolBinding> {
  const { gpu, scratch } = home;
  const { version } = scratch.growing;
  const known = pool.bindings.get(prepared);
  if (known?.version === version) return known;
  const { number, format } = pool;
  const listed = prepared.pieces.map(({ step, kernel }) => {
    const own = prepared.plan.steps[step]!;
    if (!("pooled" in kernel) || !("attention" in own)) return [];
    return pool.parts[own.attention.index]!.flatMap((part) =>
      kernel.pooled({ pool: number, heads: part.heads, format }).map((dispatch) => ({ dispatch, part })),
    );
  });
  const flat = listed.flat();
  const pipelines = await Promise.all(flat.map(({ dispatch }) => gpu.pipeline(dispatch.spec)));
  return gpu.guard("bindings of a cache", () => {
    const { buffer, offset } = parameterBuffer(
      gpu,
      flat.map(({ dispatch }) => dispatch.parameters),
    );
    const resource = (of: PoolResource, part: PoolPart): GPUBuffer =>
      of.kind === "keys" || of.kind === "values"
        ? part[of.kind]
        : bufferOf(of, home, prepared.buffers, prepared.rotationBuffer);
    let at = 0;
    const pieces = listed.map((list) =>
      list.map(({ dispatch: { label, resources, grid }, part }): BoundPoolDispatch => {
        const own = resources.map((of) => resource(of, part));
        const place = { buffer, offset: offset(at) };
        return { ...bind(gpu, scratch.step, label, pipelines[at++]!, place, own), grid };
      }),
    );
    pool.unbind(prepared);
    const binding: PoolBinding = { parameters: buffer, version, pieces };
    pool.bindings.set(prepared, binding);
    prepared.pools.add(pool);
    return binding;
  });
}

/** Binds what chooses tokens from a value of the plan, once for each size of the buffers that grow. */
export async function bindSampler(home: Home, prepared: PreparedPlan, value: ValueName): Promise<SamplerBinding> {
  const { gpu, scratch } = home;
  const { growing } = scratch;
  const known = prepared.samplers.get(value);
  if (known?.version === growing.version) return known;
  const pipeline = await gpu.pipeline(sampleSpec);
  const { buffer: from, offset, width } = prepared.plan.outputs.get(value)!; // it was asked for
  const source = known?.source ?? prepared.samplers.size;
  return gpu.guard("choice of tokens", () => {
    const { buffer: parameters } = parameterBuffer(gpu, [sampleParameters(source, width, offset, from.stride)]);
    const grown = (["draws", "keys", "weights", "chosen"] as const).map((name) => growing.get(name));
    const own = [prepared.buffers[from.id]!, scratch.powers(), ...grown];
    const dispatch = bind(gpu, scratch.step, "sample", pipeline, { buffer: parameters, offset: 0 }, own);
    if (known !== undefined) gpu.free(known.parameters);
    const binding: SamplerBinding = { parameters, version: growing.version, dispatch, source };
    prepared.samplers.set(value, binding);
    return binding;
  });
}

/** Frees what is a plan's own. Steps that use it were submitted before, as steps take turns. */
export function dropPlan({ gpu, scratch }: Home, prepared: PreparedPlan): void {
  const { parameters, rotationBuffer, pools, samplers } = prepared;
  scratch.drop(parameters);
  if (rotationBuffer !== undefined) scratch.drop(rotationBuffer);
  for (const pool of [...pools]) pool.unbind(prepared);
  for (const sampler of samplers.values()) gpu.free(sampler.parameters);
  samplers.clear();
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
    case "tables":
    case "partials":
      return scratch.growing.get(resource.kind);
    case "rotation":
      return rotation!; // its table is as wide as the plan's rotations
  }
}
