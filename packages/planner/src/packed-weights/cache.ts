// The flow of a cache of packed files. An entry is written under a temporary name and renamed when whole: processes that
// fill the same cache do not wait for each other, the first to finish wins. What is damaged is taken out, and packed
// again. Who fills a file and who checks it is the backend's affair.

import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { PackedContent } from "./content.ts";
import { type CheckPacked, type PackedWeights, publish, removeEntry, useEntry, writeManifest } from "./entry.ts";
import { FolderFailure, inFolder } from "./failure.ts";
import { evict } from "./limit.ts";
import { createOwnedFolder, removeLeftovers } from "./owned-folder.ts";

/** Where packed files are kept, and how many. */
export interface CacheSettings {
  readonly folder: string;
  /** Bytes that all entries together may take. */
  readonly limit: number;
  /** Gets what people should know, as sentences. */
  readonly onNote: (note: string) => void;
}

/**
 * Writes the packed file into a folder.
 *
 * @returns The checksums of its ranges.
 */
export type FillPacked = (folder: string) => Promise<readonly string[]>;

/**
 * The entry, checked; undefined where there is none. One that is damaged is taken out, with a note.
 *
 * @throws {FolderFailure}; the signal's reason
 */
export async function findEntry(
  content: PackedContent,
  { folder, onNote }: CacheSettings,
  check: CheckPacked,
  signal: AbortSignal | undefined,
): Promise<PackedWeights | undefined> {
  await removeLeftovers(folder, ["tmp", "use"]);
  const existing = await useEntry(folder, content, check, signal);
  if (typeof existing !== "string") return existing;
  const entry = join(folder, content.key);
  onNote(`The packed weights in ${entry} are not used: ${existing}. They are packed again.`);
  await inFolder(folder, () => removeEntry(entry));
  return undefined;
}

/**
 * Fills an entry, which appears when it is whole; where another process was faster, its entry stays.
 *
 * @throws {FolderFailure}; what filling throws
 */
export async function storeEntry(content: PackedContent, { folder }: CacheSettings, fill: FillPacked): Promise<void> {
  await inFolder(folder, () => mkdir(folder, { recursive: true }));
  const temporary = await inFolder(folder, () => createOwnedFolder(folder, "tmp"));
  try {
    const checksums = await fill(temporary.path);
    await inFolder(folder, () => writeManifest(temporary.path, content, checksums));
    await inFolder(folder, () => publish(temporary, join(folder, content.key)));
  } finally {
    await temporary.remove();
  }
}

/** Removes entries until the others are within the limit; says so where that cannot be done. */
export async function keepWithin({ folder, limit, onNote }: CacheSettings): Promise<void> {
  await inFolder(folder, () => evict(folder, limit)).catch((error: unknown) => onNote(`${error}`));
}

/**
 * Finds an entry, or fills it. What was written is checked as what was found is.
 *
 * @throws {FolderFailure}; what filling throws; the signal's reason
 */
export async function openCached(
  content: PackedContent,
  settings: CacheSettings,
  { fill, check }: { readonly fill: FillPacked; readonly check: CheckPacked },
  signal: AbortSignal | undefined,
): Promise<PackedWeights> {
  const existing = await findEntry(content, settings, check, signal);
  if (existing !== undefined) return existing;
  const { folder } = settings;
  for (let tries = 0; tries < 2; tries++) {
    await storeEntry(content, settings, fill);
    const packed = await useEntry(folder, content, check, signal);
    if (typeof packed === "object") {
      await keepWithin(settings);
      return { ...packed, reused: false };
    }
    // Another process put a damaged entry there first or removed it, or the disk does not keep what is written.
    await inFolder(folder, () => removeEntry(join(folder, content.key)));
  }
  throw new FolderFailure(folder, "damaged", `${folder} does not hold what was written to it`);
}

/** Says before the first byte that they will not all fit. @throws {FolderFailure} */
export async function checkRoom(folder: string, needed: number): Promise<void> {
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined || found.blocks === 0) return; // this file system does not say
  const { bavail, bsize } = found;
  if (needed <= bavail * bsize) return;
  throw new FolderFailure(folder, "full", `${folder} has ${bavail * bsize} bytes free`);
}

/** The part of an open file that filling needs. */
interface Writable {
  write(bytes: Uint8Array, at: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>;
}

/** Writes all bytes at a position. */
export async function writeFully(file: Writable, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
