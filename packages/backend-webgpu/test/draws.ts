// Tokens drawn by the sampler's kernel alone, many in one submission, and by core's sampler from the same logits. Shared by Node and the
// page.

import { createSampler, type SamplingOptions } from "@polyllama/core";
import { openDevice } from "../src/adapter.ts";
import { usage } from "../src/gpu.ts";
import { sampleParameters, samplerMemory } from "../src/sampler.ts";
import { stepBytes } from "../src/step.ts";

/** Tokens, and rows of the table of logits. */
export const V = 601;

const seed = 2 ** 40 + 77;

/** Draw `i` is from row `i % V`, at position `i + 1`. */
export function drawOnHost(table: Float32Array, setting: SamplingOptions, count: number): readonly number[] {
  const sampler = createSampler({ ...setting, seed });
  const tokens: number[] = [];
  return Array.from({ length: count }, (_, i) => {
    const row = i % V;
    tokens.push(0);
    return sampler.sample(table.subarray(row * V, (row + 1) * V), tokens, 0);
  });
}

/** Bytes from one binding to the next. */
const stride = 256;

/** The same draws by the kernel. */
export async function drawOnDevice(
  table: Float32Array<ArrayBuffer>,
  setting: SamplingOptions,
  count: number,
): Promise<readonly number[]> {
  const { gpu } = await openDevice({});
  const { device } = gpu;
  const atOnce = Math.min(1000, count);
  try {
    const memory = await samplerMemory(gpu, V, () => undefined);
    const make = (bytes: number, flags: number): GPUBuffer => device.createBuffer({ size: bytes, usage: flags });
    const logits = make(table.byteLength, usage.storage | usage.copyTarget);
    device.queue.writeBuffer(logits, 0, table);
    const parameters = make(V * stride, usage.uniform | usage.copyTarget);
    const { draw } = createSampler({ ...setting, seed });
    for (let row = 0; row < V; row++)
      device.queue.writeBuffer(parameters, row * stride, sampleParameters(draw!, V, row * V));
    // Steps overlap: of each only the position is read, where its first segment starts.
    const steps = make(atOnce * stride + stepBytes, usage.uniform | usage.copyTarget);
    const chosen = make(atOnce * stride, usage.storage | usage.copySource);
    const staging = make(atOnce * stride, usage.mapRead | usage.copyTarget);
    const tokens: number[] = [];
    while (tokens.length < count) {
      const before = tokens.length;
      const words = new Uint32Array(steps.size / 4);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(memory.pipeline.pipeline);
      for (let i = 0; i < atOnce; i++) {
        words[(i * stride) / 4 + 6] = before + i + 1;
        const storage = [logits, memory.table, memory.keys, memory.weights].map((buffer) => ({ buffer }));
        const bound: readonly GPUBufferBinding[] = [
          { buffer: parameters, offset: ((before + i) % V) * stride, size: 64 },
          { buffer: steps, offset: i * stride, size: stepBytes },
          ...storage,
          { buffer: chosen, offset: i * stride, size: 16 },
        ];
        const entries = bound.map((resource, binding) => ({ binding, resource }));
        pass.setBindGroup(0, device.createBindGroup({ layout: memory.pipeline.layout, entries }));
        pass.dispatchWorkgroups(1);
      }
      pass.end();
      encoder.copyBufferToBuffer(chosen, 0, staging, 0, staging.size);
      device.queue.writeBuffer(steps, 0, words);
      device.queue.submit([encoder.finish()]);
      await gpu.wait(staging.mapAsync(usage.mapRead));
      const read = new Uint32Array(staging.getMappedRange());
      for (let i = 0; i < atOnce && tokens.length < count; i++) tokens.push(read[(i * stride) / 4]!);
      staging.unmap();
    }
    return tokens;
  } finally {
    gpu.dispose();
  }
}
