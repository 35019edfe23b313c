// Checkpoints that are kept in the origin private file system of a browser. A download is stored in pieces of 64 MiB,
// each a file that appears when it is whole: one that breaks off, or a page that is closed, loses one piece at most,
// and the next load goes on from there. (One large file would have to be copied at every commit.) Two pages never write
// the same one.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { CheckpointError, PolyllamaError, type Progress } from "@polyllama/core";
import type { ByteSource } from "./byte-source.ts";
import { checkRange } from "./byte-source.ts";
import { chunks, streamFrom } from "./url.ts";

export interface KeepOptions {
  /** SHA-256 that the file must have, in hexadecimal. */
  readonly sha256?: string;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

const folderName = "polyllama";
const pieceBytes = 64 * 2 ** 20;
/** A connection that breaks is taken up again this often before it is an error. */
const mostTries = 3;

/** What is known of a kept file; written before its first piece. */
interface Record {
  readonly url: string;
  readonly size: number;
  readonly tag: string;
  /** Of the whole file, once it was checked. */
  readonly sha256?: string;
}

/**
 * The file behind a URL, from the browser's storage, downloaded into it first where it is not there or not whole. A
 * kept file is used without asking the server again.
 *
 * @throws {CheckpointError} when there is not enough room, the server fails, or the digest is another; the signal's
 * reason.
 */
export async function keptSource(url: string, options: KeepOptions = {}): Promise<ByteSource> {
  const root = await storage(url);
  const key = await keyOf(url);
  return navigator.locks.request(
    `polyllama ${key}`,
    { ...(options.signal && { signal: options.signal }) },
    async () => {
      const folder = await root.getDirectoryHandle(key, { create: true });
      let record = await readRecord(folder);
      let pieces = record === undefined ? [] : await readPieces(folder, record);
      for (let tries = 1; record === undefined || pieces.length < pieceCount(record); tries++) {
        try {
          record = await download(url, folder, record, pieces.length, options);
        } catch (error) {
          if (!(error instanceof BrokenDownload) || tries === mostTries) throw error;
          record = await readRecord(folder);
        }
        pieces = record === undefined ? [] : await readPieces(folder, record);
      }
      const wanted = options.sha256?.toLowerCase();
      if (wanted !== undefined && record.sha256 !== wanted) {
        const sha256 = record.sha256 ?? (await digest(pieces, record, options));
        if (sha256 !== wanted) {
          await root.removeEntry(key, { recursive: true });
          throw new CheckpointError(
            { file: url },
            `its SHA-256 is ${sha256}, not ${wanted}`,
            "The download was damaged or the file was replaced; it was removed. Check the digest, and load it again.",
          );
        }
        await writeFile(folder, "record.json", JSON.stringify({ ...record, sha256 } satisfies Record));
      }
      return piecesSource(url, record, pieces);
    },
  );
}

/** Removes a kept file, whole or partial; false when there was none. */
export async function removeKept(url: string): Promise<boolean> {
  const root = await storage(url);
  const key = await keyOf(url);
  return navigator.locks.request(`polyllama ${key}`, async () => {
    try {
      await root.removeEntry(key, { recursive: true });
      return true;
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotFoundError") return false;
      throw error;
    }
  });
}

async function storage(url: string): Promise<FileSystemDirectoryHandle> {
  if (typeof navigator === "undefined" || typeof navigator.storage?.getDirectory !== "function") {
    throw new PolyllamaError(
      "ERR_UNSUPPORTED",
      `${url} cannot be kept: there is no origin private file system here. Load it without \`keep\`; a page must be served over https or from localhost.`,
    );
  }
  return (await navigator.storage.getDirectory()).getDirectoryHandle(folderName, { create: true });
}

async function keyOf(url: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Downloads what is missing, from piece `have` on. */
async function download(
  url: string,
  folder: FileSystemDirectoryHandle,
  known: Record | undefined,
  have: number,
  { signal, onProgress }: KeepOptions,
): Promise<Record> {
  const { first, size, tag, response } = await streamFrom(url, have * pieceBytes, signal);
  const record: Record = { url, size, tag };
  const goesOn = first > 0 && known?.size === size && known.tag === tag;
  if (first > 0 && !goesOn) {
    await response.body?.cancel(); // another file than the one that was begun
    return download(url, folder, undefined, 0, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
  }
  try {
    await checkRoom(url, size - first);
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  if (!goesOn) {
    await removePieces(folder);
    await writeFile(folder, "record.json", JSON.stringify(record));
  }
  let number = first / pieceBytes;
  let done = first;
  let parts: Uint8Array[] = [];
  let held = 0;
  const store = async (): Promise<void> => {
    await writeFile(folder, String(number++), new Blob(parts as BlobPart[])); // their types exclude shared memory
    parts = [];
    held = 0;
  };
  onProgress?.({ phase: "downloading", done, total: size });
  try {
    for await (const chunk of chunks(response)) {
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + pieceBytes - held);
        parts.push(part);
        held += part.length;
        at += part.length;
        if (held === pieceBytes) await store();
      }
      done += chunk.length;
      onProgress?.({ phase: "downloading", done, total: size });
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof PolyllamaError) throw cause;
    throw broken(url, done, size, cause);
  }
  if (done !== size) throw broken(url, done, size);
  if (held > 0) await store();
  return record;
}

class BrokenDownload extends CheckpointError {}

function broken(url: string, done: number, size: number, cause?: unknown): BrokenDownload {
  const kept = Math.floor(done / pieceBytes) * pieceBytes;
  return new BrokenDownload(
    { file: url },
    `the download broke off after ${done} of ${size} bytes`,
    `Load it again: it goes on after the ${kept} bytes that are stored.`,
    { cause },
  );
}

/** @throws {CheckpointError} when the browser grants this origin less. */
async function checkRoom(url: string, needed: number): Promise<void> {
  const { quota, usage = 0 } = await navigator.storage.estimate();
  if (quota === undefined || quota - usage >= needed) return;
  const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new CheckpointError(
    { file: url },
    `keeping it needs ${mib(needed)}, but the browser has ${mib(quota - usage)} left for this site`,
    "Free space, ask for more with navigator.storage.persist(), or load it without `keep`.",
  );
}

function pieceCount({ size }: Record): number {
  return Math.ceil(size / pieceBytes);
}

async function readRecord(folder: FileSystemDirectoryHandle): Promise<Record | undefined> {
  try {
    const file = await (await folder.getFileHandle("record.json")).getFile();
    return JSON.parse(await file.text()) as Record; // we wrote it
  } catch {
    return undefined; // none, or one whose writing was interrupted: the download begins anew
  }
}

/** The whole pieces from the first on, up to the first that is missing. */
async function readPieces(folder: FileSystemDirectoryHandle, record: Record): Promise<readonly File[]> {
  const pieces: File[] = [];
  while (pieces.length < pieceCount(record)) {
    const length = Math.min(pieceBytes, record.size - pieces.length * pieceBytes);
    const handle = await folder.getFileHandle(String(pieces.length)).catch(() => undefined);
    const file = await handle?.getFile();
    if (file?.size !== length) break;
    pieces.push(file);
  }
  return pieces;
}

async function removePieces(folder: FileSystemDirectoryHandle): Promise<void> {
  const names: string[] = [];
  for await (const name of (folder as FileSystemDirectoryHandle & { keys(): AsyncIterable<string> }).keys())
    names.push(name); // not in TypeScript's library
  for (const name of names) await folder.removeEntry(name);
}

async function writeFile(folder: FileSystemDirectoryHandle, name: string, content: Blob | string): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  const writable = await handle.createWritable(); // the file changes when this is closed, and only then
  try {
    await writable.write(content);
    await writable.close();
  } catch (cause) {
    await writable.abort().catch(() => {});
    throw cause;
  }
}

async function digest(pieces: readonly File[], { size }: Record, { signal, onProgress }: KeepOptions): Promise<string> {
  const hash = sha256.create(); // WebCrypto digests only what is in memory as a whole
  let done = 0;
  for (const piece of pieces) {
    for await (const chunk of chunks(new Response(piece))) {
      signal?.throwIfAborted();
      hash.update(chunk);
      done += chunk.length;
      onProgress?.({ phase: "checking", done, total: size });
    }
  }
  return bytesToHex(hash.digest());
}

function piecesSource(url: string, { size, tag }: Record, pieces: readonly File[]): ByteSource {
  return {
    name: url,
    size,
    version: tag || undefined,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      checkRange(url, size, offset, length);
      const end = offset + length;
      const parts: Blob[] = [];
      for (let number = Math.floor(offset / pieceBytes); number * pieceBytes < end; number++) {
        parts.push(pieces[number]!.slice(Math.max(0, offset - number * pieceBytes), end - number * pieceBytes));
      }
      return new Uint8Array(await new Blob(parts).arrayBuffer());
    },
    async close() {},
  };
}
