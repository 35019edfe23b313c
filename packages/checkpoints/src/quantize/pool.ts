// Quantization on several threads. Values go out in pieces, each to the next idle thread, and come back as blocks; no
// more pieces are under way than there are threads, so what a pool takes beside input and output is bounded. Threads
// start with the first work that is worth one, never keep a process alive, and stop when they have been idle for a
// while. Which threads there are, `#quantize/threads` knows: workers in Node, none in browsers, where the same pieces
// are quantized in place.

import { checkOptions, formatBytes, type OptionSchema, option, PolyllamaError } from "@polyllama/core";
import { checkBlocks, quantizeRows, type WritableFormat } from "@polyllama/formats";
import { findThreads, type Thread, type Threads } from "#quantize/threads";
import { breathe } from "../breathe.ts";

/** Options of `createQuantizerPool`. */
export interface QuantizerPoolOptions {
  /**
   * Threads that quantize; default: as many as the process may run at once. 1 quantizes on the caller's own, as
   * everything does in browsers.
   */
  readonly threads?: number;
}

/** Threads that quantize. Any number of calls may run at once; they share the threads. */
export interface QuantizerPool extends AsyncDisposable {
  /**
   * As {@link quantizeRows}, with the same result. `values` must not change meanwhile.
   *
   * @throws {PolyllamaError} `ERR_OPTION`, `ERR_DISPOSED`, `ERR_BACKEND` for a thread that fails; the signal's reason.
   */
  quantize(values: Float32Array, format: WritableFormat, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

const poolOptionTypes: OptionSchema<QuantizerPoolOptions> = { threads: option.integer({ least: 1, most: 1024 }) };

/** Values of a piece: some 25 ms of work for the K formats. A multiple of every block. */
const pieceValues = 2 ** 18;
/** Milliseconds after which an idle thread stops. */
const idleMilliseconds = 2000;

/**
 * A pool of quantizing threads. Disposing it stops them, once the work under way is done.
 *
 * @throws {PolyllamaError} `ERR_OPTION`
 */
export function createQuantizerPool(options: QuantizerPoolOptions = {}): QuantizerPool {
  checkOptions(options, poolOptionTypes, "createQuantizerPool()");
  return new ThreadPool(options.threads);
}

class ThreadPool implements QuantizerPool {
  readonly #wanted: number | undefined;
  readonly #idle: Thread[] = [];
  /** Calls that wait for a thread. */
  readonly #waiting: (() => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #busy = 0;
  #disposed = false;

  constructor(threads: number | undefined) {
    this.#wanted = threads;
  }

  async quantize(values: Float32Array, format: WritableFormat, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#disposed)
      throw new PolyllamaError("ERR_DISPOSED", "The quantizer pool was disposed; create another one.");
    checkBlocks(values, format);
    signal?.throwIfAborted();
    const output = new Uint8Array(formatBytes(format, values.length));
    const work = this.#quantizeInto(output, values, format, signal);
    this.#running.add(work);
    try {
      await work;
    } finally {
      this.#running.delete(work);
    }
    return output;
  }

  async #quantizeInto(
    output: Uint8Array,
    values: Float32Array,
    format: WritableFormat,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const pieceBytes = formatBytes(format, pieceValues);
    const threads = values.length <= pieceValues ? undefined : findThreads(this.#wanted);
    let next = 0;
    const runner = async (): Promise<void> => {
      while (next < values.length) {
        signal?.throwIfAborted();
        const first = next;
        next += pieceValues;
        const piece = values.subarray(first, first + pieceValues);
        const at = (first / pieceValues) * pieceBytes;
        if (threads !== undefined) output.set(await this.#onThread(piece, format, threads), at);
        else {
          output.set(quantizeRows(piece, format), at);
          if (next < values.length) await breathe(signal);
        }
      }
    };
    const runners = Array.from({ length: Math.min(threads?.count ?? 1, Math.ceil(values.length / pieceValues)) }, () =>
      runner().catch((error: unknown) => {
        next = Infinity; // the others need not go on
        throw error;
      }),
    );
    const failure = (await Promise.allSettled(runners)).find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  }

  async #onThread(piece: Float32Array, format: WritableFormat, threads: Threads): Promise<Uint8Array> {
    while (this.#busy >= threads.count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy++;
    try {
      const thread = this.#idle.pop() ?? threads.start();
      const blocks = await thread.run({ values: piece.slice(), format });
      this.#rest(thread);
      return blocks;
    } finally {
      this.#busy--;
      this.#waiting.shift()?.();
    }
  }

  #rest(thread: Thread): void {
    this.#idle.push(thread);
    thread.rest(idleMilliseconds, () => {
      this.#idle.splice(this.#idle.indexOf(thread), 1);
      void thread.stop();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await Promise.allSettled(this.#running);
    await Promise.all(this.#idle.splice(0).map((thread) => thread.stop()));
  }
}
