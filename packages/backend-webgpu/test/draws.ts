// Tokens drawn by the sampler's kernel alone, many in one dispatch, and by core's sampler from the same logits. Shared
// by Node and the page.

import { createSampler, type SamplingOptions } from "@polyllama/core";
import { openDevice } from "../src/adapter.ts";
import { usage } from "../src/gpu.ts";
import {
  drawBytes,
  parallelDraws,
  powerTable,
  sampleParameters,
  sampleSpec,
  writeDraw,
} from "../src/program/sampler.ts";
import { encodeStep, stepBytes } from "../src/program/step.ts";

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

/** The same draws by the kernel, all in one dispatch. */
export async function drawOnDevice(
  table: Float32Array<ArrayBuffer>,
  setting: SamplingOptions,
  count: number,
): Promise<readonly number[]> {
  const { gpu } = await openDevice({});
  const { device } = gpu;
  try {
    const pipeline = await gpu.pipeline(sampleSpec);
    const make = (data: ArrayBuffer | number, use: number): GPUBuffer => {
      const buffer = gpu.buffer("draws", typeof data === "number" ? data : data.byteLength, use | usage.copyTarget);
      if (typeof data !== "number") device.queue.writeBuffer(buffer, 0, data);
      return buffer;
    };
    const draws = new DataView(new ArrayBuffer(count * drawBytes));
    const { draw } = createSampler({ ...setting, seed });
    for (let i = 0; i < count; i++) {
      writeDraw(draws, i * drawBytes, draw!, V, { source: 0, row: i % V, position: i + 1 });
    }
    const step = new ArrayBuffer(stepBytes);
    new Uint8Array(step).set(new Uint8Array(encodeStep({ rows: count, selected: 0, draws: count }, [])));
    const chosen = make(4 * count, usage.storage | usage.copySource);
    const staging = make(4 * count, usage.mapRead);
    const bound = [
      make(sampleParameters(0, V, 0, V), usage.uniform),
      make(step, usage.uniform),
      make(table.buffer, usage.storage),
      powerTable(gpu),
      make(draws.buffer, usage.storage),
      make(4 * V * parallelDraws, usage.storage),
      make(4 * V * parallelDraws, usage.storage),
      chosen,
    ];
    const entries = bound.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline.pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.layout, entries }));
    pass.dispatchWorkgroups(Math.min(count, parallelDraws));
    pass.end();
    encoder.copyBufferToBuffer(chosen, 0, staging, 0, 4 * count);
    device.queue.submit([encoder.finish()]);
    await gpu.wait(staging.mapAsync(usage.mapRead));
    return [...new Uint32Array(staging.getMappedRange()).subarray(0, count)];
  } finally {
    gpu.dispose();
  }
}
