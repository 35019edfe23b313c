// One call of `sample`: the token stays on the device from one step to the next, and what chooses it is bound to the logits of each
// plan that the steps use.

import type { DrawOptions } from "@polyllama/core";
import type { Place } from "@polyllama/planner";
import { type BoundDispatch, bind, parameterBuffer } from "./bindings.ts";
import { type Gpu, usage } from "./gpu.ts";
import type { PreparedPlan } from "./prepared-plan.ts";
import { type SamplerMemory, sampleParameters } from "./sampler.ts";
import type { Scratch } from "./scratch.ts";

interface BoundSampler extends BoundDispatch {
  readonly parameters: GPUBuffer;
}

export class Generation {
  readonly chosen: GPUBuffer;
  readonly #gpu: Gpu;
  readonly #scratch: Scratch;
  readonly #memory: SamplerMemory;
  readonly #sampling: DrawOptions;
  readonly #bound = new Map<PreparedPlan, BoundSampler>();

  /** Call within `Gpu.guard`. */
  constructor(gpu: Gpu, scratch: Scratch, memory: SamplerMemory, sampling: DrawOptions) {
    this.#gpu = gpu;
    this.#scratch = scratch;
    this.#memory = memory;
    this.#sampling = sampling;
    this.chosen = gpu.buffer("chosen token", 16, usage.storage | usage.copySource);
  }

  /** What chooses a token from a plan's logits. */
  bind(prepared: PreparedPlan, logits: Place): BoundDispatch {
    const known = this.#bound.get(prepared);
    if (known !== undefined) return known;
    const { pipeline, table, keys, weights } = this.#memory;
    const { buffer } = parameterBuffer(this.#gpu, [sampleParameters(this.#sampling, logits.width, logits.offset)]);
    const resources = [prepared.buffers[logits.buffer.id]!, table, keys, weights, this.chosen];
    const place = { buffer, offset: 0 };
    const made = { ...bind(this.#gpu, this.#scratch.step, "sample", pipeline, place, resources), parameters: buffer };
    this.#bound.set(prepared, made);
    return made;
  }

  /** Frees what a plan was bound by. */
  unbind(prepared: PreparedPlan): void {
    const sampler = this.#bound.get(prepared);
    if (sampler !== undefined) this.#gpu.free(sampler.parameters);
    this.#bound.delete(prepared);
  }

  free(): void {
    this.#gpu.free(this.chosen);
    for (const prepared of [...this.#bound.keys()]) this.unbind(prepared);
  }
}
