// Files of Node as byte sources. Reads are positional, so that any number may run at once on one handle, and are
// checked against the file's size and modification time: weights that change while they are being read fail loudly.

import { open, readlink, stat } from "node:fs/promises";
import { CheckpointError, PolyllamaError, quoted } from "@polyllama/core";
import type { OpenFile, OpenFileStats } from "../../location.ts";
import { type ByteSource, checkRange } from "./byte-source.ts";

/** One system call reads no more than this, so that an abort is noticed and no platform's limit is met. */
const pieceBytes = 64 * 2 ** 20;

/**
 * Opens a regular file.
 *
 * @throws {CheckpointError} when there is none or it may not be read.
 */
export async function openFile(path: string): Promise<ByteSource> {
  const found = await stat(path).catch(async (error: unknown) => {
    await refuseBrokenLink(path);
    return unreadable(path, error);
  });
  if (!found.isFile()) {
    throw new CheckpointError({ file: path }, "this is not a regular file", "Give the path of a file.");
  }
  const handle = await open(path, "r").catch((error: unknown) => unreadable(path, error));
  try {
    return fileSource(path, handle, await handle.stat({ bigint: true }));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** {@link openFile}; undefined when there is no such file. @throws {CheckpointError} */
export async function openIfThere(path: string): Promise<ByteSource | undefined> {
  const found = await stat(path).catch((error: unknown) => (isMissing(error) ? undefined : unreadable(path, error)));
  if (found !== undefined) return openFile(path);
  await refuseBrokenLink(path);
  return undefined;
}

/** A file that is open already, and stays so when the source is closed. */
export async function handleSource(file: OpenFile): Promise<ByteSource> {
  return fileSource(`file ${file.fd}`, file, await file.stat({ bigint: true }), false);
}

/**
 * A link to what is not there is a file that was not fetched, and not one that is missing.
 *
 * @throws {CheckpointError}
 */
async function refuseBrokenLink(path: string): Promise<void> {
  const target = await readlink(path).catch(() => undefined);
  if (target === undefined) return;
  const isAnnex = /\.git[\\/]annex[\\/]/.test(target);
  const remedy = isAnnex
    ? "Fetch it, in its folder, with: git annex get ."
    : "Fetch what it leads to, or download the file again.";
  throw new CheckpointError({ file: path }, `this is a link to ${quoted(target)}, which is not here`, remedy);
}

function fileSource(path: string, handle: OpenFile, opened: OpenFileStats, owned = true): ByteSource {
  const size = Number(opened.size);
  let closed = false;
  return {
    name: path,
    size,
    version: [opened.dev, opened.ino, opened.mtimeNs, opened.ctimeNs].join(),
    ...(owned && { path }),
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      if (closed) throw new PolyllamaError("ERR_DISPOSED", `${path} is closed; its checkpoint was disposed.`);
      checkRange(path, size, offset, length);
      const bytes = allocate(path, length);
      let done = 0;
      while (done < length) {
        const wanted = Math.min(pieceBytes, length - done);
        const { bytesRead } = await handle
          .read(bytes, done, wanted, offset + done)
          .catch((error: unknown) => unreadable(path, error));
        signal?.throwIfAborted();
        if (bytesRead === 0) throw changed(path);
        done += bytesRead;
      }
      const now = await handle.stat({ bigint: true });
      if (now.size !== opened.size || now.mtimeNs !== opened.mtimeNs) throw changed(path);
      return bytes;
    },
    async close() {
      closed = true;
      if (owned) await handle.close(); // waits for reads that are under way
    },
  };
}

function allocate(path: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    const buffer = Buffer.allocUnsafeSlow(length); // a buffer of its own; zeroing it first would cost a tenth of a read
    return new Uint8Array(buffer.buffer, buffer.byteOffset, length);
  } catch (cause) {
    throw new CheckpointError(
      { file: path },
      `${length} bytes cannot be held in one buffer`,
      "Read fewer rows at a time.",
      { cause },
    );
  }
}

function changed(path: string): CheckpointError {
  return new CheckpointError(
    { file: path },
    "the file changed while it was open",
    "Load it again once whatever writes it has finished.",
  );
}

/** Throws what a failed call of the file system means to a user. @throws {CheckpointError} */
export function unreadable(path: string, cause: unknown): never {
  const code = codeOf(cause);
  const [problem, remedy] = isMissing(cause)
    ? ["there is no such file", "Check the path."]
    : code === "EACCES" || code === "EPERM"
      ? ["it may not be read", "Check its permissions."]
      : [`it cannot be read (${code})`, "Check the disk and the path."];
  throw new CheckpointError({ file: path }, problem, remedy, { cause });
}

function isMissing(cause: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(codeOf(cause));
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
}
