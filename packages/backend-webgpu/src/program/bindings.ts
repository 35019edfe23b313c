// Kernels bound to buffers: the uniforms of many dispatches in one buffer, and bind groups over it.

import { PolyllamaError } from "@polyllama/core";
import type { Grid } from "../emit/dispatch.ts";
import { type Gpu, type Pipeline, usage } from "../gpu.ts";

/** A pipeline with its buffers. */
export interface BoundDispatch {
  readonly label: string;
  readonly pipeline: Pipeline;
  readonly bindGroup: GPUBindGroup;
}

/** Bytes of a kernel's parameters, at most. */
const parameterBytes = 64;

/** Blocks for a uniform buffer, each where a binding may begin. */
export function parameterBlocks(
  gpu: Gpu,
  blocks: readonly ArrayBuffer[],
): { readonly data: Uint8Array<ArrayBuffer>; readonly offset: (block: number) => number } {
  const stride = Math.max(parameterBytes, gpu.limits.minUniformBufferOffsetAlignment);
  const data = new Uint8Array(Math.max(1, blocks.length) * stride);
  for (const [i, block] of blocks.entries()) data.set(new Uint8Array(block), i * stride);
  return { data, offset: (block) => block * stride };
}

/** A uniform buffer with a block for each dispatch. Whoever gets it frees it. */
export function parameterBuffer(
  gpu: Gpu,
  blocks: readonly ArrayBuffer[],
): { readonly buffer: GPUBuffer; readonly offset: (block: number) => number } {
  const { data, offset } = parameterBlocks(gpu, blocks);
  const buffer = gpu.buffer("parameters", data.byteLength, usage.uniform | usage.copyTarget);
  gpu.device.queue.writeBuffer(buffer, 0, data);
  return { buffer, offset };
}

/**
 * Binds a dispatch.
 *
 * @param step The uniform of the chunk.
 * @param resources Buffers from binding 2 on.
 * @throws {PolyllamaError} `ERR_BACKEND` for a buffer beyond what a binding may have
 */
export function bind(
  gpu: Gpu,
  step: GPUBuffer,
  label: string,
  pipeline: Pipeline,
  parameters: { readonly buffer: GPUBuffer; readonly offset: number },
  resources: readonly GPUBuffer[],
): BoundDispatch {
  const most = gpu.limits.maxStorageBufferBindingSize;
  for (const { size, label: name } of resources) {
    if (size > most)
      throw new PolyllamaError(
        "ERR_BACKEND",
        `${label}: "${name}" has ${size} bytes, but a binding ${most} at most. Use a smaller model or another backend.`,
      );
  }
  return bindKernel(
    gpu,
    step,
    label,
    pipeline,
    parameters,
    resources.map((buffer) => ({ buffer })),
  );
}

/** Binds a dispatch to parts of buffers, whose sizes the caller has seen. */
export function bindKernel(
  gpu: Gpu,
  step: GPUBuffer,
  label: string,
  pipeline: Pipeline,
  parameters: { readonly buffer: GPUBuffer; readonly offset: number },
  resources: readonly GPUBufferBinding[],
): BoundDispatch {
  const bindGroup = gpu.device.createBindGroup({
    label,
    layout: pipeline.layout,
    entries: [
      { binding: 0, resource: { ...parameters, size: parameterBytes } },
      { binding: 1, resource: { buffer: step } },
      ...resources.map((resource, i) => ({ binding: i + 2, resource })),
    ],
  });
  return { label, pipeline, bindGroup };
}

export function encode(pass: GPUComputePassEncoder, { pipeline, bindGroup }: BoundDispatch, [x, y, z]: Grid): void {
  pass.setPipeline(pipeline.pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(x, y, z);
}
