// The memory of a pool of KV blocks: buffers of its attentions' keys and values, and what programs have bound to them.

import { type CacheFormat, MemoryError } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import type { BlockCopy, PoolStorage } from "@polyllama/planner";
import { type Gpu, usage } from "../gpu.ts";
import type { BoundPlan, PoolBinding } from "../program/pool-binding.ts";
import { exportBlocks, exportedLength, importBlocks } from "./exported.ts";
import { blockBytes, blockRows, headRanges, rowBytes } from "./layout.ts";
import type { PoolPart } from "./pool-part.ts";

let made = 0;

export class PoolMemory implements PoolStorage {
  /** By which kernels know it. */
  readonly number: number = made++ % 2 ** 32;
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
  readonly blocks: number;
  readonly bytes: number;
  readonly gpu: Gpu;
  /** By attention. */
  readonly parts: readonly (readonly PoolPart[])[];
  /** Resolves when the device has granted the memory. */
  readonly ready: Promise<void>;
  /** What kernels of plans are bound by. */
  readonly bindings: Map<BoundPlan, PoolBinding> = new Map();

  /** @param what What it is for, for errors. @throws {MemoryError} */
  constructor(gpu: Gpu, spec: CacheSpec, format: CacheFormat, blocks: number, what: string) {
    this.gpu = gpu;
    this.spec = spec;
    this.format = format;
    this.blocks = blocks;
    this.bytes = blocks * blockBytes(spec, format);
    const most = Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
    for (const { headDim } of spec) {
      const block = blockRows * rowBytes(headDim, format);
      if (blocks * block <= most) continue;
      throw new MemoryError(
        `${what}, one head of which must fit a binding,`,
        blocks * block,
        most,
        Math.floor(most / block) * blockRows,
      );
    }
    const available = gpu.memory - gpu.live.bytes;
    if (this.bytes > available) {
      const fitting = Math.max(0, Math.floor(available / blockBytes(spec, format))) * blockRows;
      throw new MemoryError(what, this.bytes, available, fitting);
    }
    const use = usage.storage | usage.copySource | usage.copyTarget;
    const { result, check } = gpu.guarded(`${what}, ${Math.ceil(this.bytes / 2 ** 20)} MiB`, () =>
      spec.map(({ kvHeads, headDim }, index) => {
        const headBytes = blockRows * rowBytes(headDim, format);
        return headRanges(kvHeads, blocks * headBytes, most).map((heads): PoolPart => {
          const size = blocks * heads.count * headBytes;
          const [keys, values] = [gpu.buffer(`keys ${index}`, size, use), gpu.buffer(`values ${index}`, size, use)];
          return { heads, keys, values, blockBytes: heads.count * headBytes };
        });
      }),
    );
    this.parts = result;
    this.ready = check;
  }

  /** Encodes copies of blocks, each by way of `between`, as a buffer cannot be copied to itself. */
  copy(encoder: GPUCommandEncoder, copies: readonly BlockCopy[], between: GPUBuffer): void {
    for (const { keys, values, blockBytes: size } of this.parts.flat()) {
      for (const buffer of [keys, values]) {
        for (const { from, to } of copies) {
          encoder.copyBufferToBuffer(buffer, from * size, between, 0, size);
          encoder.copyBufferToBuffer(between, 0, buffer, to * size, size);
        }
      }
    }
  }

  /** Bytes of the largest block of a buffer. */
  get largestBlock(): number {
    return this.parts.flat().reduce((most, part) => Math.max(most, part.blockBytes), 0);
  }

  async export(table: readonly number[], length: number): Promise<Uint8Array> {
    await this.ready;
    return exportBlocks(this, table, length);
  }

  lengthOf(bytes: Uint8Array): number {
    return exportedLength(this, bytes);
  }

  async import(table: readonly number[], bytes: Uint8Array): Promise<void> {
    await this.ready;
    await importBlocks(this, table, bytes);
  }

  /** Frees what a plan was bound by. */
  unbind(plan: BoundPlan): void {
    const binding = this.bindings.get(plan);
    if (binding === undefined) return;
    this.gpu.free(binding.parameters);
    this.bindings.delete(plan);
    plan.pools.delete(this);
  }

  free(): void {
    for (const plan of this.bindings.keys()) this.unbind(plan);
    for (const { keys, values } of this.parts.flat()) {
      this.gpu.free(keys);
      this.gpu.free(values);
    }
  }
}
