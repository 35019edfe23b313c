// A browser's File or Blob, or a file of the origin private file system, as a source of bytes. Nothing is read ahead:
// the browser reads the slices that are asked for from the disk.

import { CheckpointError } from "@polyllama/core";
import { type ByteSource, checkRange } from "./byte-source.ts";

export function blobSource(blob: Blob, name: string = blob instanceof File ? blob.name : "Blob"): ByteSource {
  const { size } = blob;
  return {
    name,
    size,
    version: undefined, // a script may give a File any time of modification
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      checkRange(name, size, offset, length);
      const buffer = await blob
        .slice(offset, offset + length)
        .arrayBuffer()
        .catch((cause: unknown) => {
          const problem = "it can no longer be read; it was changed, moved or removed after it was chosen";
          throw new CheckpointError({ file: name }, problem, "Choose the file again.", { cause });
        });
      signal?.throwIfAborted();
      return new Uint8Array(buffer);
    },
    async close() {},
  };
}
