// A packed file, read into memory.

import { open } from "node:fs/promises";
import type { CheckPacked, PackedWeights } from "@polyllama/planner/packed-weights";
import type { KeptWeights, LoadJob } from "../weights/local.ts";
import { checkPages } from "./pages.ts";

/**
 * Reads an entry.
 *
 * @param find Finds it, and calls what reads it.
 * @returns undefined where there is none, or none that is right. @throws {MemoryError}; what `find` throws
 */
export async function readPacked(
  { machine, layout, signal, onProgress }: LoadJob,
  find: (check: CheckPacked) => Promise<PackedWeights | undefined>,
): Promise<KeptWeights | undefined> {
  const arena = machine.allocate(layout.bytes, "the weights"); // of the size that the file must have
  const onBytes = (done: number): void => onProgress?.({ phase: "loading weights", done, total: arena.bytes });
  try {
    const found = await find(async (path, [checksums = ""]) => {
      const file = await open(path, "r");
      try {
        return await checkPages(machine, arena, checksums, { file: file.fd, signal, onBytes });
      } finally {
        await file.close();
      }
    });
    await found?.release();
    if (found !== undefined) return { arena, release: async () => undefined };
  } catch (error) {
    arena[Symbol.dispose]();
    throw error;
  }
  arena[Symbol.dispose]();
  return undefined;
}
