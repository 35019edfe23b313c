// Words of the card's memory, read by the host and written by it, behind all that was enqueued before.

import type { Handle } from "./driver/api.ts";
import type { Gpu } from "./gpu.ts";

/** @param what What they are, for the error. @throws {MemoryError} */
export async function readWords(gpu: Gpu, from: Handle, count: number, what: string): Promise<ArrayBuffer> {
  using staging = gpu.allocateHost(4 * count, what);
  gpu.copyToHost(staging.address, from, 4 * count);
  await gpu.finished();
  return staging.buffer.slice(0, 4 * count);
}

/** @param what What they are, for the error. @throws {MemoryError} */
export async function writeWords(
  gpu: Gpu,
  to: Handle,
  words: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>,
  what: string,
): Promise<void> {
  using staging = gpu.allocateHost(words.byteLength, what);
  new Uint8Array(staging.buffer).set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  gpu.copyToDevice(to, staging.address, words.byteLength);
  await gpu.finished();
}
