// The memory of a pool of KV blocks: one allocation on the card.

import type { CacheFormat } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import type { BlockCopy, PoolStorage } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { DeviceMemory } from "../memory.ts";
import { headBytes, readLength, writeHead } from "./exported.ts";
import { blockBytes } from "./layout.ts";

export class PoolMemory implements PoolStorage {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly format: CacheFormat;
  readonly #gpu: Gpu;
  readonly #spec: CacheSpec;
  readonly #memory: DeviceMemory;

  /** @param what What it is for, for errors. @throws {MemoryError} */
  constructor(gpu: Gpu, spec: CacheSpec, format: CacheFormat, blocks: number, what: string) {
    this.format = format;
    this.blockBytes = blockBytes(spec, format);
    this.bytes = blocks * this.blockBytes;
    this.#gpu = gpu;
    this.#spec = spec;
    this.#memory = gpu.allocate(this.bytes, what);
  }

  get address(): Handle {
    return this.#memory.address;
  }

  /** Copies a block on the card, behind what was enqueued before. */
  copy({ from, to }: BlockCopy): void {
    this.#gpu.copyOnDevice(this.#block(to), this.#block(from), this.blockBytes);
  }

  async export(table: readonly number[], length: number): Promise<Uint8Array> {
    const head = headBytes(this.#spec);
    const bytes = new Uint8Array(head + table.length * this.blockBytes);
    writeHead(bytes, this.#spec, this.format, length);
    using staging = this.#gpu.allocateHost(table.length * this.blockBytes, "an exported sequence");
    for (const [i, block] of table.entries()) {
      this.#gpu.copyToHost(staging.address + this.#offset(i), this.#block(block), this.blockBytes);
    }
    await this.#gpu.finished();
    bytes.set(new Uint8Array(staging.buffer, 0, table.length * this.blockBytes), head);
    return bytes;
  }

  lengthOf(bytes: Uint8Array): number {
    return readLength(bytes, this.#spec, this.format);
  }

  async import(table: readonly number[], bytes: Uint8Array): Promise<void> {
    const content = bytes.subarray(headBytes(this.#spec));
    using staging = this.#gpu.allocateHost(content.length, "an imported sequence");
    new Uint8Array(staging.buffer).set(content);
    for (const [i, block] of table.entries()) {
      this.#gpu.copyToDevice(this.#block(block), staging.address + this.#offset(i), this.blockBytes);
    }
    await this.#gpu.finished();
  }

  free(): void {
    this.#memory[Symbol.dispose]();
  }

  #offset(block: number): bigint {
    return BigInt(block * this.blockBytes);
  }

  #block(block: number): Handle {
    return this.address + this.#offset(block);
  }
}
