// What of a plan is bound when it is first needed: kernels over KV blocks when plan and pool meet, what chooses tokens
// when they are asked for. Both are bound anew when one of the buffers that grow has grown.

import type { ValueName } from "@polyllama/core";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { PoolPart } from "../cache/pool-part.ts";
import type { PoolResource } from "../emit/dispatch.ts";
import { bind, parameterBuffer } from "./bindings.ts";
import type { BoundPoolDispatch, PoolBinding } from "./pool-binding.ts";
import { bufferOf, type Home, type PreparedPlan, type SamplerBinding } from "./prepared-plan.ts";
import { sampleParameters, sampleSpec } from "./sampler.ts";

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
  const binding = await gpu.guard("bindings of a cache", (): PoolBinding => {
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
    return { parameters: buffer, version, pieces };
  });
  pool.unbind(prepared);
  pool.bindings.set(prepared, binding);
  prepared.pools.add(pool);
  return binding;
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
  const binding = await gpu.guard("choice of tokens", (): SamplerBinding => {
    const { buffer: parameters } = parameterBuffer(gpu, [sampleParameters(source, width, offset, from.stride)]);
    const grown = (["draws", "keys", "weights", "chosen"] as const).map((name) => growing.get(name));
    const own = [prepared.buffers[from.id]!, scratch.powers(), ...grown];
    const dispatch = bind(gpu, scratch.step, "sample", pipeline, { buffer: parameters, offset: 0 }, own);
    return { parameters, version: growing.version, dispatch, source };
  });
  if (known !== undefined) gpu.free(known.parameters);
  prepared.samplers.set(value, binding);
  return binding;
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
