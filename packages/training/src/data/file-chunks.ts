// A file as chunks of bytes, for the readers of texts and dialogues.

import { createReadStream } from "node:fs";

/** The file's bytes in order; what is held is one chunk. @throws what the file system throws. */
export async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield* createReadStream(path, { highWaterMark: 1 << 20 });
}
