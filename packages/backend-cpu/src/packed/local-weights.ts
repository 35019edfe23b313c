// What Node does for loading weights: files are read by the library's threads, and what the weights became is kept in a
// cache folder where that makes the next load faster. It does for weights that JavaScript has to hand over (made, put in
// another order, from a server); rows that lie in files are put in place as fast as a packed copy could be read. Where
// memory is short, weights are a packed file that is mapped, which the system drops and reads again as it needs to.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { rowCount } from "@polyllama/core";
import { type CacheSettings, FolderFailure, findEntry } from "@polyllama/planner/packed-weights";
import type { KeptWeights, LoadJob, LocalWeights } from "../weights/local.ts";
import { storedBytes } from "../weights/pieces.ts";
import { availableMemory } from "./available-memory.ts";
import { packedContent } from "./content.ts";
import { mapPacked } from "./mapped.ts";
import { readPacked } from "./read-packed.ts";
import { locationOf, repackFiles } from "./repack-files.ts";
import { type OpenPacked, writePacked } from "./write-packed.ts";

export interface LocalOptions {
  /** `false`: nothing is kept. */
  readonly folder: string | false;
  readonly limit: number;
  readonly onNote: (note: string) => void;
  /** Bytes of the checkpoint, handed over by JavaScript, from which on weights are kept. */
  readonly least?: number;
  /** Bytes that can be had; what the system says by default. */
  readonly available?: () => number;
  /** Opens a packed file for writing; tests put failing disks here. */
  readonly openFile?: OpenPacked;
}

/** Below this reading a packed copy saves a few hundredths of a second. */
const leastKept = 64 << 20;

export function localWeights({
  folder,
  limit,
  onNote,
  least = leastKept,
  available = availableMemory,
  openFile,
}: LocalOptions): LocalWeights {
  const settings: CacheSettings | undefined = folder === false ? undefined : { folder, limit, onNote };
  /** Jobs for which the folder could not be used, which was said. */
  const failed = new WeakSet<LoadJob>();
  const isKept = (job: LoadJob): boolean => job.layout.bytes <= limit && handedOver(job) >= least;

  return {
    async find(job, fill) {
      if (settings === undefined) return undefined;
      const isShort = job.layout.bytes > available();
      if (!isShort && !isKept(job)) return undefined;
      try {
        const content = await packedContent(job);
        if (isShort) return await mapPacked(job, content, settings, fill);
        const isThere = await stat(join(settings.folder, content.key)).catch(() => undefined);
        return isThere && (await readPacked(job, (check) => findEntry(content, settings, check, job.signal)));
      } catch (error) {
        if (!(error instanceof FolderFailure)) throw error;
        onNote(noteOf(error));
        failed.add(job);
        return undefined;
      }
    },
    async keep(job, arena): Promise<KeptWeights> {
      if (settings === undefined || failed.has(job) || !isKept(job)) return { arena, release: async () => undefined };
      const content = await packedContent(job);
      const writing = writePacked(job.machine, content, settings, arena, openFile).catch((error: unknown) => {
        onNote(noteOf(error));
      });
      return { arena, release: () => writing };
    },
    repack: repackFiles,
  };
}

/** Bytes of a checkpoint that pass through JavaScript. */
function handedOver({ infos, layout, source }: LoadJob): number {
  let bytes = 0;
  for (const info of infos.values()) {
    if (layout.places.has(info.name) && locationOf(source, info) === undefined)
      bytes += storedBytes(info, rowCount(info));
  }
  return bytes;
}

function noteOf(error: unknown): string {
  const problem = error instanceof Error ? error.message : String(error);
  return (
    `The packed weights cannot be kept in the cache: ${problem}. They are repacked into memory at each load; cacheFolder ` +
    "names another folder, and cacheFolder: false does without."
  );
}
