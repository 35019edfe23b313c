// Where the bytes of a checkpoint come from. The parsers know nothing else of the world, so that a file, a buffer or a
// browser's Blob can stand behind them. Sources are read in pieces at any position and never as a whole.

import { CheckpointError } from "@polyllama/core";

/** The bytes of a file, wherever it lies. */
export interface ByteSource {
  /** Path or URL, for errors. */
  readonly name: string;
  /** Length in bytes, as it was when the source was opened. */
  readonly size: number;
  /** A string that changes when the content may have changed; undefined where nothing but the content itself tells. */
  readonly version: string | undefined;
  /** Of a file of this machine, which its version identifies as `WeightLocation` has it. */
  readonly path?: string;
  /**
   * Exactly `length` bytes from `offset` on, in a buffer of the caller's own. May be called concurrently.
   *
   * @throws {CheckpointError} when the range reaches past the end, or the content changed since the source was opened.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Frees what the source holds, such as a file handle. Reading afterwards fails. */
  close(): Promise<void>;
}

/** Bytes in memory as a source. */
export function memorySource(name: string, bytes: Uint8Array, version?: string): ByteSource {
  return {
    name,
    size: bytes.length,
    version,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      checkRange(name, bytes.length, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    async close() {},
  };
}

/** Configurations, indexes, tokenizers and templates are far smaller. */
export const mostWholeBytes: number = 256 * 2 ** 20;

/** Refuses a file that is too large to be a small one, before its bytes are held. @throws {CheckpointError} */
export function checkWhole(name: string, size: number, most: number = mostWholeBytes): void {
  if (size <= most) return;
  throw new CheckpointError({ file: name }, `${size} bytes are too many for such a file`, "Check the path.");
}

/** A small file as a whole. @throws {CheckpointError} */
export async function readAll(source: ByteSource, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  checkWhole(source.name, source.size);
  return source.read(0, source.size, signal);
}

/** Refuses a range that a source of this size does not have. @throws {CheckpointError} */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) {
    if (offset + length <= size) return;
  }
  throw new CheckpointError(
    { file: name },
    `bytes ${offset} to ${offset + length} were asked for, but the file ends at ${size}`,
    "The file is incomplete; download or copy it again.",
  );
}
