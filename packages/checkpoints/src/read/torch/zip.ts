// Where the entries of a zip archive lie. PyTorch stores tensors uncompressed, so that a tensor is a range of the file;
// the central directory, Zip64 included, is read by zip.js, and everything it says is held against the file.

import { CheckpointError, PolyllamaError, quoted } from "@polyllama/core";
import { checkOverlap } from "../gguf-header.ts";
import type { ByteSource } from "../sources/byte-source.ts";

/** A stored entry's bytes within the file. */
export interface ZipEntry {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

export interface ZipDirectory {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** First byte after the last entry: what follows is the central directory. */
  readonly end: number;
}

/** Far above any checkpoint's. */
const mostEntries = 4096;
const localHeaderBytes = 30;

/** @throws {CheckpointError} for anything but a whole archive of stored entries. */
export async function readZipDirectory(source: ByteSource, signal?: AbortSignal): Promise<ZipDirectory> {
  const found: { name: string; header: number; bytes: number }[] = [];
  const { ZipReader } = await import("@zip.js/zip.js"); // only who opens such a file waits for it
  const reader = new ZipReader(zipReaderOf(source, signal));
  try {
    for await (const entry of reader.getEntriesGenerator()) {
      if (entry.directory) continue;
      const { filename: name, offset: header, compressedSize: bytes } = entry;
      if (found.length === mostEntries) throw damaged(source, `it has more than ${mostEntries} entries`);
      if (entry.encrypted || entry.compressionMethod !== 0 || bytes !== entry.uncompressedSize) {
        throw new CheckpointError(
          { file: source.name, tensor: name },
          "this entry is compressed or encrypted",
          "PyTorch writes its tensors uncompressed; save the checkpoint again with torch.save.",
        );
      }
      found.push({ name, header, bytes });
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof PolyllamaError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw damaged(source, `its directory cannot be read (${reason})`, { cause });
  }

  const entries = new Map<string, ZipEntry>();
  const whole: { name: string; offset: number; bytes: number }[] = []; // with their headers
  let end = 0;
  for (const { name, header, bytes } of found) {
    const local = await source.read(header, localHeaderBytes, signal);
    const view = new DataView(local.buffer, local.byteOffset, local.byteLength);
    if (view.getUint32(0, true) !== 0x04034b50)
      throw damaged(source, `${quoted(name)} does not start at byte ${header}`);
    const offset = header + localHeaderBytes + view.getUint16(26, true) + view.getUint16(28, true);
    if (!Number.isSafeInteger(bytes) || offset + bytes > source.size) {
      throw damaged(source, `${quoted(name)} ends at byte ${offset + bytes}, but the file at ${source.size}`);
    }
    if (entries.has(name)) throw damaged(source, `two entries are named ${quoted(name)}`);
    entries.set(name, { name, offset, bytes });
    whole.push({ name, offset: header, bytes: offset + bytes - header });
    end = Math.max(end, offset + bytes);
  }
  checkOverlap(whole, source.name);
  return { entries, end };
}

/** A source as zip.js reads it. */
function zipReaderOf(source: ByteSource, signal: AbortSignal | undefined) {
  return {
    size: source.size,
    init: async () => {},
    readUint8Array: (offset: number, length: number) =>
      source.read(offset, Math.min(length, Math.max(0, source.size - offset)), signal),
    // zip.js types readers as streams too; only their ranges are read here.
    readable: new ReadableStream<Uint8Array>(),
  };
}

function damaged(source: ByteSource, problem: string, options?: ErrorOptions): CheckpointError {
  const remedy = "The file is damaged or incomplete; download or copy it again.";
  return new CheckpointError({ file: source.name }, problem, remedy, options);
}
