// What exported caches begin with: words of 32 bits that say whose they are, and how many positions follow.

import { ContextOverflowError, PolyllamaError } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";

/** "ORT1", as a word: keys and values of this backend, f32, heads padded. */
const mark = 0x3154524f;

/** mark, positions, attentions, and of each its heads and their width; the tokens come next, then the rows. */
export function cacheHeader(spec: CacheSpec, length: number): Int32Array {
  return Int32Array.of(mark, length, spec.length, ...spec.flatMap(({ kvHeads, headDim }) => [kvHeads, headDim]));
}

/**
 * How many positions exported bytes hold.
 *
 * @param rows Most that a sequence of the pool can have.
 * @param rowBytes Bytes of a position, its token included.
 * @throws {PolyllamaError} `ERR_OPTION` for bytes of another spec; {@link ContextOverflowError}
 */
export function lengthInHeader(bytes: Uint8Array, spec: CacheSpec, rows: number, rowBytes: number): number {
  const { byteLength } = cacheHeader(spec, 0);
  const words = Math.floor(Math.min(bytes.length, byteLength) / 4);
  const found = new Int32Array(new Uint8Array(bytes.subarray(0, 4 * words)).buffer);
  const length = found[1] ?? -1;
  const isOwn = length >= 0 && String(found) === String(cacheHeader(spec, length));
  if (!isOwn || bytes.length !== byteLength + length * rowBytes) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `These ${bytes.length} bytes are no cache of this pool's shape and format (f32); import what such a cache exported.`,
    );
  }
  if (length > rows) throw new ContextOverflowError(length, rows, "Make a pool of longer sequences.");
  return length;
}
