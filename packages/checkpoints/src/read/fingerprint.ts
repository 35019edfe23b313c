// What tells checkpoints apart without reading them whole, for keys of caches: of every file its size, its version (of
// a file on a disk inode, device and the times of modification and of change, which nobody can set back), its header,
// and pages spread over it. A source that has no version, such as a Blob or a server that sends neither ETag nor
// Last-Modified, is read whole.

import type { FileCheckpointParts } from "./parts.ts";
import type { ByteSource } from "./sources/byte-source.ts";

/** Raised when the same files would give other weights than before. */
const readingVersion = 1;
const headerSampleBytes = 2 ** 20;
const pageBytes = 4096;
const sampledPages = 16;
/** Bytes that are hashed at a time where all are. */
const pieceBytes = 4 * 2 ** 20;

/** The fingerprint of a checkpoint in files; see `WeightSource.fingerprint`. */
export async function identify({
  kind,
  config,
  files,
  places,
}: Pick<FileCheckpointParts, "kind" | "config" | "files" | "places">): Promise<string> {
  const order = [...places].map(([name, { source, offset }]) => [
    name,
    files.findIndex((file) => file.source === source),
    offset,
  ]);
  const parts = [JSON.stringify([readingVersion, kind, config, order])];
  for (const { source, headerBytes } of files) {
    parts.push(JSON.stringify([source.size, source.version ?? (await digestOfAll(source))]));
    parts.push(await hexDigest(await source.read(0, Math.min(headerBytes, headerSampleBytes, source.size))));
    const length = Math.min(pageBytes, source.size);
    for (let page = 0; page < sampledPages; page++) {
      const offset = Math.floor(((source.size - length) * page) / (sampledPages - 1));
      parts.push(await hexDigest(await source.read(offset, length)));
    }
  }
  return hexDigest(new TextEncoder().encode(parts.join("\n")));
}

async function digestOfAll(source: ByteSource): Promise<string> {
  const digests: string[] = [];
  for (let at = 0; at < source.size; at += pieceBytes) {
    digests.push(await hexDigest(await source.read(at, Math.min(pieceBytes, source.size - at))));
  }
  return hexDigest(new TextEncoder().encode(digests.join()));
}

/** SHA-256 in hexadecimal. */
export async function hexDigest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
