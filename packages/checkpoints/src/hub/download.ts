// One file from the hub into the cache. Bytes go to a partial file as they come, which a later attempt, of this process
// or another one, continues with a Range request. What has arrived is hashed as a whole, with the hash under which the
// repository lists it; only then does it get its name.

import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { PolyllamaError } from "@polyllama/core";
import { folderError } from "./cache.ts";
import { amount, type RepositoryFile } from "./choose.ts";
import { broken, repeatedly, request, type TransportSettings, Unreachable } from "./transport.ts";

/** A file with what it is verified by. */
export interface HubFile extends RepositoryFile {
  /** SHA-256 of the content for large files (LFS); for others SHA-1 of git's blob. Lower-case hexadecimal. */
  readonly hash: string;
}

export interface DownloadPlace {
  readonly url: string;
  readonly blob: string;
  readonly partial: string;
}

/**
 * Fetches a file, or the rest of it, verifies it and gives it its name in the cache. Content that does not match its
 * hash is fetched once more from the start, then refused and removed.
 *
 * @param onBytes Called with the number of bytes that are there.
 * @throws {PolyllamaError} `ERR_HUB`; the signal's reason, after which what has arrived stays for the next time.
 */
export async function download(
  file: HubFile,
  { url, blob, partial }: DownloadPlace,
  settings: TransportSettings,
  onBytes: (present: number) => void,
): Promise<void> {
  await mkdir(dirname(partial), { recursive: true });
  let actual = "";
  for (let attempt = 0; attempt < 2; attempt++) {
    const handle = await open(partial, "r+").catch(() => open(partial, "w+"));
    try {
      actual = await fetchRest(file, url, handle, settings, onBytes);
      if (actual === file.hash) {
        await handle.sync();
        await publish(handle, partial, blob);
        return;
      }
      await handle.truncate(0);
    } catch (error) {
      throw explain(error, partial, file);
    } finally {
      await handle.close();
    }
    settings.onNote(`${file.path} arrived damaged${attempt === 0 ? "; fetching it again" : ""}.`);
  }
  await rm(partial, { force: true });
  throw new PolyllamaError(
    "ERR_HUB",
    `${file.path} of ${settings.repository} arrived twice with other content than the repository lists (hash ${actual} instead ` +
      `of ${file.hash}); it was removed. Something on the way changes it, such as a proxy or a mirror: fetch it by another way.`,
  );
}

/** Fetches what is missing and returns the hash of the whole. */
async function fetchRest(
  file: HubFile,
  url: string,
  handle: FileHandle,
  settings: TransportSettings,
  onBytes: (present: number) => void,
): Promise<string> {
  const { signal } = settings;
  let hash = startHash(file);
  let present = (await handle.stat()).size;
  if (present > file.size) {
    await handle.truncate(0);
    present = 0;
  }
  await hashStart(handle, present, hash, signal);
  onBytes(present);

  const restart = async (): Promise<void> => {
    hash = startHash(file);
    present = 0;
    await handle.truncate(0);
  };
  const attempt = async (): Promise<void> => {
    if (present === file.size) return;
    const headers = { "Accept-Encoding": "identity", ...(present > 0 && { Range: `bytes=${present}-` }) };
    await request(settings, url, headers, async (response, alive) => {
      if (response.status === 416) {
        await restart();
        throw broken("it has no such range");
      }
      if (response.status === 206) {
        const [, first] = /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "") ?? [];
        if (Number(first) !== present) throw broken("it sent another part of the file than was asked for");
      } else if (present > 0) {
        await restart(); // the whole file comes, whatever was asked for
      }
      for await (const chunk of response.body ?? []) {
        alive();
        // More than was announced cannot be the file; its hash will say so.
        const wanted = chunk.subarray(0, file.size - present);
        await writeAll(handle, wanted, present);
        hash.update(wanted);
        present += wanted.length;
        onBytes(present);
        if (wanted.length < chunk.length) {
          hash.update(chunk);
          return;
        }
      }
      if (present < file.size) throw broken("the connection ended early");
    });
  };
  await repeatedly(settings, attempt, () => present);
  return hash.digest("hex");
}

function startHash({ hash, size }: HubFile): Hash {
  return hash.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

async function hashStart(
  handle: FileHandle,
  length: number,
  hash: Hash,
  signal: AbortSignal | undefined,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(length, 2 ** 22));
  for (let done = 0; done < length; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - done), done);
    if (bytesRead === 0) throw new PolyllamaError("ERR_HUB", "A partial file shrank while it was read; pull again.");
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** Renames what was verified, and nothing that another process may have put in its place. */
async function publish(handle: FileHandle, partial: string, blob: string): Promise<void> {
  const [mine, named] = await Promise.all([handle.stat(), stat(partial).catch(() => undefined)]);
  if (mine.ino !== named?.ino) {
    throw new PolyllamaError("ERR_HUB", `Another process replaced ${partial} while it was written; pull again.`);
  }
  if (process.platform === "win32") await handle.close(); // an open file cannot be renamed there
  await rename(partial, blob);
}

/** What a failure means for the file. */
function explain(error: unknown, path: string, file: RepositoryFile): unknown {
  const folder = dirname(path);
  const kept = "What has arrived is kept, and pulling again continues there.";
  const say = (message: string): PolyllamaError => new PolyllamaError("ERR_HUB", message, { cause: error });
  if (error instanceof Unreachable) return say(`${file.path}: ${error.message} ${kept}`);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOSPC" || code === "EDQUOT") {
    return say(
      `The disk is full: ${file.path} (${amount(file.size)}) does not fit into ${folder}. Free some space, or choose another ` +
        `folder with the option \`cacheFolder\` (on the command line --hub-cache). ${kept}`,
    );
  }
  return folderError(error, folder);
}
