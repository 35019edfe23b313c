// The memory of a pool of KV blocks: one allocation on the card.

import type { CacheSpec } from "@polyllama/core/device";
import {
  type BlockCopy,
  type ExportedKind,
  headBytes,
  type PoolStorage,
  readLength,
  writeHead,
} from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { CudaCacheFormat } from "../kernels/row.ts";
import type { DeviceMemory } from "../memory.ts";
import { blockBytes, blocksFor } from "./layout.ts";

/**
 * "KVB1", as a word: exported sequences are blocks as they lie on the card; what stands behind the last position is
 * never read.
 */
const mark = 0x3142564b;

export class PoolMemory implements PoolStorage {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly format: CudaCacheFormat;
  readonly #gpu: Gpu;
  readonly #kind: ExportedKind;
  readonly #memory: DeviceMemory;

  /** @param what What it is for, for errors. @throws {MemoryError} */
  constructor(gpu: Gpu, spec: CacheSpec, format: CudaCacheFormat, blocks: number, what: string) {
    this.format = format;
    this.blockBytes = blockBytes(spec, format);
    this.bytes = blocks * this.blockBytes;
    this.#gpu = gpu;
    this.#kind = { mark, spec, format };
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
    const head = headBytes(this.#kind);
    const bytes = new Uint8Array(head + table.length * this.blockBytes);
    writeHead(bytes, this.#kind, length);
    using staging = this.#gpu.allocateHost(table.length * this.blockBytes, "an exported sequence");
    for (const [i, block] of table.entries()) {
      this.#gpu.copyToHost(staging.address + this.#offset(i), this.#block(block), this.blockBytes);
    }
    await this.#gpu.finished();
    bytes.set(new Uint8Array(staging.buffer, 0, table.length * this.blockBytes), head);
    return bytes;
  }

  lengthOf(bytes: Uint8Array): number {
    return readLength(bytes, this.#kind, (length) => blocksFor(length) * this.blockBytes);
  }

  async import(table: readonly number[], bytes: Uint8Array): Promise<void> {
    const content = bytes.subarray(headBytes(this.#kind));
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
