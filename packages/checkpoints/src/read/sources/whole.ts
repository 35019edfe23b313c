// A file behind a URL as a source of bytes, read whole into memory: the way out where a server has no range requests.

import { CheckpointError, type Progress } from "@polyllama/core";
import { blobSource } from "./blob.ts";
import { type ByteSource, checkWhole } from "./byte-source.ts";
import { chunks, type Sending, send } from "./url.ts";

export interface WholeOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Most bytes. Default: any number. */
  readonly most?: number;
}

/**
 * Reads a file; undefined where there is none (404).
 *
 * @throws {CheckpointError} for refusals, no connection, an answer that ends early, and one of more than `most` bytes.
 */
export async function wholeSource(
  url: string,
  sending: Sending,
  { onProgress, most = Infinity }: WholeOptions = {},
): Promise<ByteSource | undefined> {
  const { signal } = sending;
  const response = await send(url, {}, sending);
  const { status, headers } = response;
  if (status === 404 || headers.get("Content-Type")?.startsWith("text/html")) {
    await response.body?.cancel();
    return undefined;
  }
  // Compressed on the way, the length is not the file's.
  const length = headers.get("Content-Encoding") === null ? headers.get("Content-Length") : null;
  const total = Number(length ?? 0);
  if (total > most) {
    await response.body?.cancel();
    checkWhole(url, total, most);
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  try {
    for await (const chunk of chunks(response)) {
      parts.push(new Uint8Array(chunk));
      done += chunk.length;
      checkWhole(url, done, most);
      onProgress?.({ phase: "downloading", done, total });
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof CheckpointError ? cause : ended(url, done, { cause });
  }
  signal?.throwIfAborted();
  if (length !== null && done !== total) throw ended(url, done);
  return blobSource(new Blob(parts), url); // a Blob takes more than one buffer can hold
}

function ended(url: string, done: number, options?: ErrorOptions): CheckpointError {
  return new CheckpointError({ file: url }, `the connection ended after ${done} bytes`, "Load it again.", options);
}
