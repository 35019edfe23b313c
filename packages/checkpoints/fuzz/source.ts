// Spoiled files as the parsers see files.

import { flatten, type Meter, type Pieces, part, sizeOf } from "@polyllama/test-support/fuzz/pieces";
import { type ByteSource, memorySource } from "../src/index.ts";
import { checkRange } from "../src/read/sources/byte-source.ts";

/** Pieces as a file, whose reads are counted. */
export function sourceOf(name: string, pieces: Pieces, meter: Meter): ByteSource {
  const size = sizeOf(pieces);
  return {
    ...memorySource(name, new Uint8Array(0)),
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length);
      meter.bytes += length;
      return flatten(part(pieces, offset, length));
    },
  };
}
