// Time on the device by kernel, from timestamps around every dispatch. For benchmarks: each dispatch then has a pass of
// its own.

import { type Gpu, usage } from "./gpu.ts";

const queryResolve = 512; // GPUBufferUsage.QUERY_RESOLVE
const most = 2048;

/** Whether a device has timestamps for a {@link Profile}. */
export function canProfile({ device }: Gpu): boolean {
  return device.features.has("timestamp-query");
}

export class Profile {
  readonly #gpu: Gpu;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;
  readonly #kernels: string[] = [];

  /** The device must have `timestamp-query`. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#queries = gpu.device.createQuerySet({ type: "timestamp", count: 2 * most });
    this.#resolved = gpu.buffer("timestamps", 16 * most, queryResolve | usage.copySource);
    this.#staging = gpu.buffer("timestamps", 16 * most, usage.mapRead | usage.copyTarget);
  }

  /** Timestamps of the next pass, which runs the given kernel. */
  next(kernel: string): GPUComputePassTimestampWrites {
    const index = 2 * this.#kernels.length;
    if (index >= 2 * most) throw new Error(`a profile holds ${most} dispatches`);
    this.#kernels.push(kernel);
    return { querySet: this.#queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** Copies the timestamps so far; call before the encoder is finished. */
  resolve(encoder: GPUCommandEncoder): void {
    const count = 2 * this.#kernels.length;
    if (count === 0) return;
    encoder.resolveQuerySet(this.#queries, 0, count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 8 * count);
  }

  /** Dispatches and nanoseconds by kernel; frees what the profile took. */
  async end(): Promise<ReadonlyMap<string, { readonly dispatches: number; readonly nanoseconds: number }>> {
    await this.#gpu.wait(this.#staging.mapAsync(usage.mapRead));
    const times = new BigUint64Array(this.#staging.getMappedRange());
    const totals = new Map<string, { dispatches: number; nanoseconds: number }>();
    for (const [i, kernel] of this.#kernels.entries()) {
      const total = totals.get(kernel) ?? { dispatches: 0, nanoseconds: 0 };
      total.dispatches++;
      total.nanoseconds += Number(times[2 * i + 1]! - times[2 * i]!);
      totals.set(kernel, total);
    }
    this.#staging.unmap();
    this.#gpu.free(this.#staging);
    this.#gpu.free(this.#resolved);
    this.#queries.destroy();
    return totals;
  }
}
