// The packed weights of a checkpoint. ONNX Runtime reads weights from a file beside the model in bounded memory, so a
// checkpoint is packed once, into an entry of the cache, and later loads only check and read it. An entry is written
// under a temporary name and renamed when whole: processes that fill the same cache do not wait for each other, the
// first to finish wins. What is damaged is packed again. Where the cache cannot be written, or without one, the file
// lies in a private temporary folder until the parameters are freed. Every packed file is checked whole before its
// first use.

import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Progress, WeightSource } from "@polyllama/core";
import type { Layout } from "../pack/layout.ts";
import { checkFile, entryKey, type PackedWeights, publish, removeEntry, useEntry, writeManifest } from "./entry.ts";
import { FolderFailure, inFolder, PackedWeightsError } from "./failure.ts";
import { evict } from "./limit.ts";
import { createOwnedFolder, removeLeftovers } from "./owned-folder.ts";
import { type PackOptions, packInto } from "./pack.ts";

export type { PackedWeights } from "./entry.ts";

export interface CacheSettings {
  /** `false`: a private temporary folder. */
  readonly folder: string | false;
  /** Bytes that all entries together may take. */
  readonly limit: number;
  /** Gets what people should know, as sentences. */
  readonly onNote: (note: string) => void;
  readonly openFile?: PackOptions["openFile"];
}

/**
 * Finds the packed weights, or packs them.
 *
 * @throws {CheckpointError} for NaN or infinite weights; {@link PackedWeightsError} when they cannot be written
 * anywhere; what reading the weights throws; the signal's reason.
 */
export async function openPackedWeights(
  source: WeightSource,
  layout: Layout,
  settings: CacheSettings,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<PackedWeights> {
  const packing = { openFile: settings.openFile, onProgress, signal };
  await removeLeftovers(tmpdir(), ["polyllama-packed"]);
  let problem = "The packed weights cannot be kept:";
  if (settings.folder !== false) {
    try {
      return await openCached(source, layout, settings.folder, settings, packing);
    } catch (error) {
      if (!(error instanceof FolderFailure)) throw error;
      problem = `The packed weights (${layout.bytes} bytes) cannot be kept in the cache: ${error.message}`;
      settings.onNote(
        `${problem}. They are packed into ${tmpdir()} for this time alone; cacheFolder names another folder, and cacheFolder: false does without.`,
      );
      problem += ", and";
    }
  }
  try {
    return await packPrivately(source, layout, packing);
  } catch (error) {
    if (!(error instanceof FolderFailure)) throw error;
    throw new PackedWeightsError(`${problem} ${error.message}; ${layout.bytes} bytes are needed.`, error, layout.bytes);
  }
}

type Packing = Omit<PackOptions, "durable">;

async function openCached(
  source: WeightSource,
  layout: Layout,
  root: string,
  { limit, onNote }: CacheSettings,
  packing: Packing,
): Promise<PackedWeights> {
  const { onProgress, signal } = packing;
  const key = await entryKey(source, layout);
  const entry = join(root, key);
  await removeLeftovers(root, ["tmp", "use"]);

  const existing = await useEntry(root, key, layout, onProgress, signal);
  if (typeof existing === "object") return existing;
  if (existing !== undefined) {
    onNote(`The packed weights in ${entry} are not used: ${existing}. They are packed again.`);
    await inFolder(root, () => removeEntry(entry));
  }

  await inFolder(root, () => mkdir(root, { recursive: true }));
  for (let tries = 0; tries < 2; tries++) {
    const temporary = await inFolder(root, () => createOwnedFolder(root, "tmp"));
    try {
      const checksums = await packInto(temporary.path, source, layout, { ...packing, durable: true });
      await inFolder(root, () => writeManifest(temporary.path, key, source, layout, checksums));
      await inFolder(root, () => publish(temporary, entry));
    } finally {
      await temporary.remove();
    }
    const packed = await useEntry(root, key, layout, onProgress, signal);
    if (typeof packed === "object") {
      await inFolder(root, () => evict(root, limit)).catch((error: unknown) => onNote(`${error}`));
      return { ...packed, reused: false };
    }
    // Another process put a damaged entry there first or removed it, or the disk does not keep what is written.
    await inFolder(root, () => removeEntry(entry));
  }
  throw new FolderFailure(root, "damaged", `${root} does not hold what was written to it`);
}

async function packPrivately(source: WeightSource, layout: Layout, packing: Packing): Promise<PackedWeights> {
  const parent = tmpdir();
  const folder = await inFolder(parent, () => createOwnedFolder(parent, "polyllama-packed", 0o700));
  try {
    const checksums = await packInto(folder.path, source, layout, { ...packing, durable: false });
    const { onProgress, signal } = packing;
    const damage = await inFolder(parent, () => checkFile(folder.path, layout, checksums, onProgress, signal));
    if (damage !== undefined)
      throw new FolderFailure(parent, "damaged", `${parent} does not hold what was written to it`);
    return { folder: folder.path, reused: false, release: folder.remove };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}
