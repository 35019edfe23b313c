// An entry of the cache: a folder named after all that the packed bytes depend on, with the packed file and a manifest
// that says the same, and the checksums. Whoever uses an entry gives the packed file a second name in a folder of its
// own, by a hard link: what it checks is then what it maps, even if another process replaces or evicts the entry
// meanwhile.

import { createHash } from "node:crypto";
import { link, open, readFile, rename, stat, utimes, writeFile } from "node:fs/promises";
import { endianness } from "node:os";
import { dirname, join } from "node:path";
import type { Progress, WeightSource } from "@polyllama/core";
import { packingVersion } from "../pack/index.ts";
import { type Layout, packedFile } from "../pack/layout.ts";
import { checksumBlock, findDamage, packedArrays } from "./checksums.ts";
import { createOwnedFolder, type OwnedFolder } from "./owned-folder.ts";

export const manifestFile = "manifest.json";

export interface PackedWeights {
  /** Folder that holds the packed file. */
  readonly folder: string;
  /** Whether an entry was there already. */
  readonly reused: boolean;
  /** Gives the entry free for eviction, or removes the private folder. */
  release(): Promise<void>;
}

/** What a manifest says besides the checksums; an entry is used where all of it is as it should be. */
function expectation(key: string, layout: Layout): Readonly<Record<string, unknown>> {
  return { key, packingVersion, byteOrder: endianness(), bytes: layout.bytes, checksumBlock };
}

/** Name of an entry: a hash of all that its bytes depend on. */
export async function entryKey(source: WeightSource, layout: Layout): Promise<string> {
  const plan = layout.matrices.map(({ format, packer, columns, rows, members, parts }) => [
    format,
    packer.bits,
    columns,
    rows,
    members,
    parts.map(({ array }) => [array.name, array.shape, array.offset, array.length]),
  ]);
  const text = JSON.stringify([packingVersion, await source.fingerprint(), layout.bytes, plan]);
  return createHash("sha256").update(text).digest("hex");
}

/** Writes the manifest of a packed file. @throws What writing throws. */
export async function writeManifest(
  folder: string,
  key: string,
  source: WeightSource,
  layout: Layout,
  checksums: readonly string[],
): Promise<void> {
  const content = JSON.stringify({ ...expectation(key, layout), source: source.name, checksums });
  const manifest = await open(join(folder, manifestFile), "w");
  try {
    // With a hash of itself, so that a damaged manifest is noticed.
    await manifest.writeFile(JSON.stringify({ content, seal: seal(content) }));
    await manifest.sync();
  } finally {
    await manifest.close();
  }
}

function seal(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The checksums of an entry, or a clause that says what is wrong with it. */
async function readManifest(entry: string, key: string, layout: Layout): Promise<readonly string[] | string> {
  const text = await readFile(join(entry, manifestFile), "utf8");
  let manifest: unknown;
  try {
    const { content, seal: expected } = JSON.parse(text);
    if (seal(content) === expected) manifest = JSON.parse(content);
  } catch {
    // said below
  }
  if (typeof manifest !== "object" || manifest === null) return "the manifest is damaged";
  for (const [name, value] of Object.entries(expectation(key, layout))) {
    const found = (manifest as Readonly<Record<string, unknown>>)[name]; // an object, by the line above
    if (found !== value) return `it was written by another version, or for another model or machine (${name})`;
  }
  const checksums: unknown = "checksums" in manifest ? manifest.checksums : undefined;
  const isList = Array.isArray(checksums) && checksums.every((sum): sum is string => typeof sum === "string");
  return isList && checksums.length === packedArrays(layout).length ? checksums : "the manifest has no checksums";
}

/** Compares a packed file with its checksums. @returns What is wrong with it, as a clause. */
export async function checkFile(
  folder: string,
  layout: Layout,
  checksums: readonly string[],
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const total = packedArrays(layout).reduce((sum, { length }) => sum + length, 0);
  const show = (done: number): void => onProgress?.({ phase: "checking packed weights", done, total });
  const file = await open(join(folder, packedFile), "r");
  try {
    const { size } = await file.stat();
    if (size !== layout.bytes) return `the packed file has ${size} bytes instead of ${layout.bytes}`;
    show(0);
    return await findDamage(file, layout, checksums, show, signal);
  } finally {
    await file.close();
  }
}

/**
 * The entry, checked; undefined where there is none; a clause that says what is wrong with the one that is there.
 *
 * @throws The signal's reason.
 */
export async function useEntry(
  root: string,
  key: string,
  layout: Layout,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<PackedWeights | string | undefined> {
  const entry = join(root, key);
  if ((await stat(entry).catch(() => undefined)) === undefined) return undefined;
  const own = await claim(root, key);
  const folder = own?.linked ? own.folder.path : entry;
  const release = async (): Promise<void> => own?.folder.remove();
  try {
    const checksums = await readManifest(entry, key, layout);
    const damage =
      typeof checksums === "string" ? checksums : await checkFile(folder, layout, checksums, onProgress, signal);
    if (damage === undefined) {
      const now = new Date();
      await utimes(join(entry, manifestFile), now, now).catch(() => undefined); // least recently used goes first
      return { folder, reused: true, release };
    }
    await release();
    return damage;
  } catch (error) {
    await release();
    signal?.throwIfAborted();
    return `it cannot be read (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** Notes that this process uses an entry, and links its packed file; undefined in a folder that cannot be written. */
async function claim(
  root: string,
  key: string,
): Promise<{ readonly folder: OwnedFolder; readonly linked: boolean } | undefined> {
  const folder = await createOwnedFolder(root, "use").catch(() => undefined);
  if (folder === undefined) return undefined;
  await writeFile(join(folder.path, key), "").catch(() => undefined); // on a full disk it is merely not spared
  const linked = await link(join(root, key, packedFile), join(folder.path, packedFile)).then(
    () => true,
    () => false, // some file systems have no links; the entry itself is used then
  );
  return { folder, linked };
}

/**
 * Renames a finished folder into place, unless another process was faster.
 *
 * @returns False where an entry is there already.
 */
export async function publish(temporary: OwnedFolder, entry: string): Promise<boolean> {
  try {
    await rename(temporary.path, entry);
    return true;
  } catch (error) {
    if ((await stat(entry).catch(() => undefined)) !== undefined) return false;
    throw error;
  }
}

/** Takes an entry out of the cache. Those who use it keep their link. */
export async function removeEntry(entry: string): Promise<void> {
  const aside = await createOwnedFolder(dirname(entry), "tmp");
  try {
    await rename(entry, join(aside.path, "entry"));
  } catch (error) {
    if ((await stat(entry).catch(() => undefined)) !== undefined) throw error; // else another process removed it
  } finally {
    await aside.remove();
  }
}
