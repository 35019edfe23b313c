// What exported caches begin with: words of 32 bits that say whose they are, and how many positions follow.

import { PolyllamaError } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";

/** The mark, positions, attentions, and of each its heads and their width. */
export function cacheHeader(mark: number, spec: CacheSpec, length: number): Int32Array {
  return Int32Array.of(mark, length, spec.length, ...spec.flatMap(({ kvHeads, headDim }) => [kvHeads, headDim]));
}

/**
 * How many positions exported bytes hold.
 *
 * @param mark Of the backend and the format of its rows.
 * @param rowBytes Bytes of a position.
 * @throws {PolyllamaError} `ERR_OPTION` for bytes of another spec, backend or format.
 */
export function lengthInHeader(bytes: Uint8Array, mark: number, spec: CacheSpec, rowBytes: number): number {
  const { byteLength } = cacheHeader(mark, spec, 0);
  const words = Math.floor(Math.min(bytes.length, byteLength) / 4);
  const found = new Int32Array(bytes.slice(0, 4 * words).buffer);
  const length = found[1] ?? -1;
  const isOwn = length >= 0 && String(found) === String(cacheHeader(mark, spec, length));
  if (isOwn && bytes.length === byteLength + length * rowBytes) return length;
  throw new PolyllamaError(
    "ERR_OPTION",
    `These ${bytes.length} bytes are no cache of this pool's shape and format; import what such a cache exported.`,
  );
}
