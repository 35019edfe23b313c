// A program's memory beside weights and caches: what a chunk is told, activations, and staging for values that are read
// back. Plans share activation buffers, since chunks run one after another.

import { assignSlots, type Plan } from "@polyllama/planner";
import { type Gpu, usage } from "../gpu.ts";
import { chunkRows } from "../modes.ts";
import { GrowingBuffers } from "./growing.ts";
import { powerTable } from "./sampler.ts";
import { maxSegments, stepBytes } from "./step.ts";

/** Staging buffers of one size that are kept, and the largest size that is. */
const keptStaging = 4;
const largestKept = 64 << 20;

export class Scratch {
  readonly #gpu: Gpu;
  readonly #buffers = new Set<GPUBuffer>();
  /** Activations by size. */
  readonly #pool = new Map<number, GPUBuffer[]>();
  readonly #staging = new Map<number, GPUBuffer[]>();
  #powers: GPUBuffer | undefined;
  #copies: GPUBuffer | undefined;
  #freed = false;
  /** What a chunk tells its dispatches; its tokens; its selected rows. */
  readonly step: GPUBuffer;
  readonly tokens: GPUBuffer;
  readonly selection: GPUBuffer;
  readonly growing: GrowingBuffers;

  /** Call within `Gpu.guard`. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.step = this.buffer("step", stepBytes, usage.uniform | usage.copyTarget);
    this.tokens = this.buffer("tokens", chunkRows.prefill * 4, usage.storage | usage.copyTarget);
    this.selection = this.buffer("selection", maxSegments * 4, usage.storage | usage.copyTarget);
    this.growing = new GrowingBuffers(gpu);
  }

  /** A buffer that is freed with the program, or before by {@link drop}. */
  buffer(label: string, size: number, use: number): GPUBuffer {
    return this.keep(this.#gpu.buffer(label, size, use));
  }

  keep(buffer: GPUBuffer): GPUBuffer {
    this.#buffers.add(buffer);
    return buffer;
  }

  drop(buffer: GPUBuffer): void {
    if (this.#buffers.delete(buffer)) this.#gpu.free(buffer);
  }

  /** The table that tokens are chosen with. Call within `Gpu.guard`. */
  powers(): GPUBuffer {
    if (!this.#has(this.#powers)) this.#powers = this.keep(powerTable(this.#gpu));
    return this.#powers;
  }

  /** By way of which KV blocks are copied, of at least so many bytes. @throws {MemoryError} */
  async copyBuffer(bytes: number): Promise<GPUBuffer> {
    if (this.#has(this.#copies) && this.#copies.size >= bytes) return this.#copies;
    return this.#gpu.guard("copies of KV blocks", () => {
      if (this.#copies !== undefined) this.drop(this.#copies);
      this.#copies = this.buffer("copied block", bytes, usage.copySource | usage.copyTarget);
      return this.#copies;
    });
  }

  /** Buffers for a plan's activations, by id, where a chunk has so many rows. */
  assign(plan: Plan, rows: number): readonly GPUBuffer[] {
    const bytes = plan.buffers.map(({ rows: set, stride }) => {
      return 4 * stride * (set === "selected" ? Math.min(maxSegments, rows) : rows);
    });
    const { slots, slotOf } = assignSlots(plan, bytes);
    const taken = new Map<number, number>();
    const buffers = slots.map(({ bytes: size }) => {
      const pool = this.#pool.get(size) ?? [];
      this.#pool.set(size, pool);
      const next = taken.get(size) ?? 0;
      taken.set(size, next + 1);
      const known = pool[next];
      if (this.#has(known)) return known;
      pool[next] = this.buffer("activations", size, usage.storage | usage.copySource | usage.copyTarget);
      return pool[next];
    });
    return slotOf.map((slot) => buffers[slot]!);
  }

  /** Whether there is such a buffer: what was made where memory had run out is gone. */
  #has(buffer: GPUBuffer | undefined): buffer is GPUBuffer {
    return buffer !== undefined && this.#gpu.has(buffer);
  }

  /** A buffer to read at least so many bytes back from. */
  takeStaging(bytes: number): GPUBuffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(256, bytes)));
    return this.#staging.get(size)?.pop() ?? this.#gpu.buffer("staging", size, usage.mapRead | usage.copyTarget);
  }

  returnStaging(buffer: GPUBuffer): void {
    if (this.#freed || this.#gpu.lost !== undefined || buffer.mapState === "pending") {
      this.#gpu.free(buffer);
      return;
    }
    buffer.unmap();
    const known = this.#staging.get(buffer.size) ?? [];
    if (known.length >= keptStaging || buffer.size > largestKept) this.#gpu.free(buffer);
    else this.#staging.set(buffer.size, [...known, buffer]);
  }

  free(): void {
    this.#freed = true;
    for (const buffers of this.#staging.values()) for (const buffer of buffers) this.#gpu.free(buffer);
    for (const buffer of this.#buffers) this.#gpu.free(buffer);
    this.growing.free();
    this.#staging.clear();
    this.#buffers.clear();
  }
}
