// An entry of the cache: a folder named after all that the packed bytes depend on, with the packed file and a manifest
// that says the same, and the checksums. Whoever uses an entry gives the packed file a second name in a folder of its
// own, by a hard link: what it checks is then what it uses, even if another process replaces or evicts the entry
// meanwhile.

import { createHash } from "node:crypto";
import { link, open, readFile, rename, stat, utimes, writeFile } from "node:fs/promises";
import { endianness } from "node:os";
import { dirname, join } from "node:path";
import { checksumBlock, type PackedContent, packedFile } from "./content.ts";
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

/**
 * Compares a packed file with its checksums.
 *
 * @param path Of the file.
 * @param checksums Of each range, its blocks' one behind the other.
 * @returns What is wrong with it, as a clause; undefined where nothing is.
 */
export type CheckPacked = (path: string, checksums: readonly string[]) => Promise<string | undefined>;

/** What a manifest says besides the checksums; an entry is used where all of it is as it should be. */
function expectation({ key, packingVersion, bytes }: PackedContent): Readonly<Record<string, unknown>> {
  return { key, packingVersion, byteOrder: endianness(), bytes, checksumBlock };
}

/** Name of an entry: a hash of all that its bytes depend on. */
export function keyOf(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Writes the manifest of a packed file. @throws What writing throws. */
export async function writeManifest(
  folder: string,
  content: PackedContent,
  checksums: readonly string[],
): Promise<void> {
  const text = JSON.stringify({ ...expectation(content), source: content.source, checksums });
  const manifest = await open(join(folder, manifestFile), "w");
  try {
    // With a hash of itself, so that a damaged manifest is noticed.
    await manifest.writeFile(JSON.stringify({ content: text, seal: seal(text) }));
    await manifest.sync();
  } finally {
    await manifest.close();
  }
}

function seal(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The checksums of an entry, or a clause that says what is wrong with it. */
async function readManifest(entry: string, content: PackedContent): Promise<readonly string[] | string> {
  const text = await readFile(join(entry, manifestFile), "utf8");
  let manifest: unknown;
  try {
    const { content, seal: expected } = JSON.parse(text);
    if (seal(content) === expected) manifest = JSON.parse(content);
  } catch {
    // said below
  }
  if (typeof manifest !== "object" || manifest === null) return "the manifest is damaged";
  for (const [name, value] of Object.entries(expectation(content))) {
    const found = (manifest as Readonly<Record<string, unknown>>)[name]; // an object, by the line above
    if (found !== value) return `it was written by another version, or for another model or machine (${name})`;
  }
  const checksums: unknown = "checksums" in manifest ? manifest.checksums : undefined;
  const isList = Array.isArray(checksums) && checksums.every((sum): sum is string => typeof sum === "string");
  return isList && checksums.length === content.ranges.length ? checksums : "the manifest has no checksums";
}

/** {@link CheckPacked} for a file whose size is right. */
export async function checkSized(
  folder: string,
  bytes: number,
  checksums: readonly string[],
  check: CheckPacked,
): Promise<string | undefined> {
  const path = join(folder, packedFile);
  const { size } = await stat(path);
  return size === bytes ? check(path, checksums) : `the packed file has ${size} bytes instead of ${bytes}`;
}

/**
 * The entry, checked; undefined where there is none; a clause that says what is wrong with the one that is there.
 *
 * @throws The signal's reason.
 */
export async function useEntry(
  root: string,
  content: PackedContent,
  check: CheckPacked,
  signal: AbortSignal | undefined,
): Promise<PackedWeights | string | undefined> {
  const entry = join(root, content.key);
  if ((await stat(entry).catch(() => undefined)) === undefined) return undefined;
  const own = await claim(root, content.key);
  const folder = own?.linked ? own.folder.path : entry;
  const release = async (): Promise<void> => own?.folder.remove();
  try {
    const checksums = await readManifest(entry, content);
    const damage =
      typeof checksums === "string" ? checksums : await checkSized(folder, content.bytes, checksums, check);
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
