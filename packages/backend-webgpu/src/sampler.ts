// Choosing tokens on the device, by kernels/sample.wgsl: the logits never come back, and a step may be encoded before its token is
// known, since the token stays in a buffer from which the next step takes it.

import { type DrawOptions, exp2Table } from "@polyllama/core";
import { f32, struct, u32 } from "@polyllama/planner";
import { type Gpu, type Pipeline, type PipelineSpec, usage } from "./gpu.ts";

const parameters = struct({
  vocabulary: u32,
  logits_offset: u32,
  scale: f32, // log2(e) / temperature, or 0 for the most probable token
  top_k: u32, // 0 keeps all
  top_p_low: u32, // p = mantissa / 2^shift, mantissa of 53 bits
  top_p_high: u32,
  top_p_shift: u32, // 0 keeps all
  least: u32, // weight that min-p keeps
  seed_low: u32,
  seed_high: u32,
});

const sampleSpec: PipelineSpec = { kernel: "sample", parameters, values: {}, access: "rrwww" };

/** What all generations of a program share: the table, and room for keys and weights of a vocabulary. */
export interface SamplerMemory {
  readonly pipeline: Pipeline;
  readonly table: GPUBuffer;
  readonly keys: GPUBuffer;
  readonly weights: GPUBuffer;
}

/** @param keep Called with each buffer; whoever keeps it frees it. */
export async function samplerMemory(
  gpu: Gpu,
  vocabulary: number,
  keep: (buffer: GPUBuffer) => void,
): Promise<SamplerMemory> {
  const pipeline = await gpu.pipeline(sampleSpec);
  return gpu.guard("memory of the sampler", () => {
    const make = (label: string, words: number): GPUBuffer => {
      const buffer = gpu.buffer(label, words * 4, usage.storage | usage.copyTarget);
      keep(buffer);
      return buffer;
    };
    const table = make("powers of two", exp2Table.length);
    gpu.device.queue.writeBuffer(table, 0, exp2Table);
    return {
      pipeline,
      table,
      keys: make("keys of tokens", vocabulary),
      weights: make("weights of tokens", vocabulary),
    };
  });
}

/** The uniform of sample.wgsl, for logits that begin at an offset. */
export function sampleParameters(
  { temperature, topK, topP, minP, seed }: DrawOptions,
  vocabulary: number,
  offset: number,
): ArrayBuffer {
  const nucleus = topP < 1 ? fraction(topP) : { low: 0, high: 0, shift: 0 };
  return parameters.encode({
    vocabulary,
    logits_offset: offset,
    scale: temperature === 0 ? 0 : Math.LOG2E / temperature,
    top_k: topK < vocabulary ? topK : 0,
    top_p_low: nucleus.low,
    top_p_high: nucleus.high,
    top_p_shift: nucleus.shift,
    least: Math.ceil(minP * 2 ** 30),
    seed_low: seed % 2 ** 32,
    seed_high: Math.floor(seed / 2 ** 32),
  });
}

/** A float64 below 1 as mantissa / 2^shift, exactly. */
function fraction(value: number): { readonly low: number; readonly high: number; readonly shift: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const high = view.getUint32(0);
  const exponent = high >>> 20;
  const implicit = exponent === 0 ? 0 : 1 << 20;
  return { low: view.getUint32(4), high: (high & 0xfffff) | implicit, shift: 1075 - Math.max(1, exponent) };
}
