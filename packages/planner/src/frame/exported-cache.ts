// What exported sequences begin with: words of 32 bits that say which device, attentions and format they are of, and
// how many positions follow. The rest is each device's own.

import { type CacheFormat, PolyllamaError } from "@polyllama/core";
import { type CacheSpec, cacheFormats } from "@polyllama/core/device";

/** What exported sequences must agree in. */
export interface ExportedKind {
  /** A word of the device's own, for this layout of what follows. */
  readonly mark: number;
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
}

/** The words but the last, which is the length. */
function wordsOf({ mark, spec, format }: ExportedKind): readonly number[] {
  return [
    mark,
    cacheFormats.indexOf(format),
    spec.length,
    ...spec.flatMap(({ kvHeads, headDim }) => [kvHeads, headDim]),
  ];
}

/** Bytes before the content. */
export function headBytes(kind: ExportedKind): number {
  return 4 * (wordsOf(kind).length + 1);
}

/** Writes what stands before the content of a sequence of so many positions. */
export function writeHead(bytes: Uint8Array, kind: ExportedKind, length: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [i, word] of [...wordsOf(kind), length].entries()) view.setUint32(4 * i, word, true);
}

/**
 * Positions of an exported sequence.
 *
 * @param contentBytes Bytes of the content for so many positions.
 * @throws {PolyllamaError} `ERR_OPTION` where it is of another kind, or cut off
 */
export function readLength(bytes: Uint8Array, kind: ExportedKind, contentBytes: (length: number) => number): number {
  const words = wordsOf(kind);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = headBytes(kind);
  const fits = bytes.length >= head && words.every((word, i) => view.getUint32(4 * i, true) === word);
  const length = fits ? view.getUint32(head - 4, true) : 0;
  if (fits && bytes.length === head + contentBytes(length)) return length;
  throw new PolyllamaError(
    "ERR_OPTION",
    `These ${bytes.length} bytes are no sequence of this pool's device, attentions and format (${kind.format}); ` +
      "import what a pool of the same kind exported.",
  );
}
