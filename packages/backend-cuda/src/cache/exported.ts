// Sequences as bytes: which attentions they are of, in which format and how many positions, and then the blocks as they
// lie on the card. Whatever stands behind the last position in its block comes along and is never read.

import { type CacheFormat, PolyllamaError } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import { formatNumber } from "../kernels/row.ts";
import { blockBytes, blocksFor } from "./layout.ts";

/** "KVB1", as little-endian words have it. */
const magic = 0x3142564b;

/** Words before the blocks but the length, which is the last of them. */
function headOf(spec: CacheSpec, format: CacheFormat): readonly number[] {
  return [magic, formatNumber[format], spec.length, ...spec.flatMap(({ kvHeads, headDim }) => [kvHeads, headDim])];
}

/** Bytes before the blocks. */
export function headBytes(spec: CacheSpec): number {
  return 4 * (headOf(spec, "f32").length + 1);
}

/** Writes what stands before the blocks. */
export function writeHead(bytes: Uint8Array, spec: CacheSpec, format: CacheFormat, length: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const [i, word] of [...headOf(spec, format), length].entries()) view.setUint32(4 * i, word, true);
}

/**
 * Positions of an exported sequence.
 *
 * @throws {PolyllamaError} `ERR_OPTION` where it is not one of this spec and format
 */
export function readLength(bytes: Uint8Array, spec: CacheSpec, format: CacheFormat): number {
  const head = headOf(spec, format);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fits = bytes.length >= headBytes(spec) && head.every((word, i) => view.getUint32(4 * i, true) === word);
  const length = fits ? view.getUint32(4 * head.length, true) : 0;
  if (fits && bytes.length === headBytes(spec) + blocksFor(length) * blockBytes(spec, format)) return length;
  throw new PolyllamaError(
    "ERR_OPTION",
    `These ${bytes.length} bytes are not a sequence of a CUDA pool in ${format} with this model's attentions; ` +
      "import what a pool of the same kind exported.",
  );
}
