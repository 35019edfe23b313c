// The packed weights of a checkpoint. ONNX Runtime reads weights from a file beside the model in bounded memory, so a
// checkpoint is packed once, into an entry of the cache, and later loads only check and read it. An entry is written
// under a temporary name and renamed when whole: processes that fill the same cache do not wait for each other, the
// first to finish wins. What is damaged is packed again. Where the cache cannot be written, or without one, the file
// lies in a private temporary folder until the parameters are freed. Every packed file is checked whole before its
// first use.

import { tmpdir } from "node:os";
import type { Progress, WeightSource } from "@polyllama/core";
import {
  createOwnedFolder,
  FolderFailure,
  inFolder,
  openCached,
  type PackedWeights,
  PackedWeightsError,
  removeLeftovers,
} from "@polyllama/planner/packed-weights";
import type { Layout } from "../pack/layout.ts";
import { checkFolder, checkWith, packedContent } from "./content.ts";
import { type PackOptions, packInto } from "./pack.ts";

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
      const content = await packedContent(source, layout);
      const fill = (folder: string) => packInto(folder, source, layout, { ...packing, durable: true });
      const check = checkWith(layout, onProgress, signal);
      return await openCached(content, { ...settings, folder: settings.folder }, { fill, check }, signal);
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
    throw new PackedWeightsError(
      "onnxruntime",
      `${problem} ${error.message}; ${layout.bytes} bytes are needed.`,
      error,
      layout.bytes,
    );
  }
}

type Packing = Omit<PackOptions, "durable">;

async function packPrivately(source: WeightSource, layout: Layout, packing: Packing): Promise<PackedWeights> {
  const parent = tmpdir();
  const folder = await inFolder(parent, () => createOwnedFolder(parent, "polyllama-packed", 0o700));
  try {
    const checksums = await packInto(folder.path, source, layout, { ...packing, durable: false });
    const { onProgress, signal } = packing;
    const damage = await inFolder(parent, () => checkFolder(folder.path, layout, checksums, onProgress, signal));
    if (damage !== undefined)
      throw new FolderFailure(parent, "damaged", `${parent} does not hold what was written to it`);
    return { folder: folder.path, reused: false, release: folder.remove };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}
