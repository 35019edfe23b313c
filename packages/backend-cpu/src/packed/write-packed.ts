// Keeping weights that are in memory, while they are used. The disk is not waited for: whatever it loses in a crash is
// found by the checksums, and repacked.

import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import {
  type CacheSettings,
  checkRoom,
  inFolder,
  keepWithin,
  type PackedContent,
  packedFile,
  removeLeftovers,
  storeEntry,
  writeFully,
} from "@polyllama/planner/packed-weights";
import type { Machine } from "../machine.ts";
import type { Arena } from "../native/engine.ts";
import { sumPages } from "./pages.ts";

const pieceBytes = 4 << 20;

/** Opens a file that is not there. */
export type OpenPacked = (path: string) => Promise<Pick<FileHandle, "write" | "close">>;

/** Entries that this process is writing. */
const underWay = new Set<string>();

/** Writes an entry. @throws {FolderFailure} */
export async function writePacked(
  machine: Machine,
  content: PackedContent,
  settings: CacheSettings,
  arena: Arena,
  openFile: OpenPacked = (path) => open(path, "wx"),
): Promise<void> {
  const { folder: root } = settings;
  const entry = join(root, content.key);
  if (underWay.has(entry)) return;
  underWay.add(entry);
  try {
    await removeLeftovers(root, ["tmp", "use"]);
    await storeEntry(content, settings, async (folder) => {
      await checkRoom(root, content.bytes);
      const checksums = await sumPages(machine, arena); // of what was meant, not of what the disk keeps
      const file = await inFolder(root, () => openFile(join(folder, packedFile)));
      try {
        for (let at = 0; at < content.bytes; at += pieceBytes) {
          const piece = arena.bytesAt(at, Math.min(pieceBytes, content.bytes - at));
          await inFolder(root, () => writeFully(file, piece, at));
        }
      } finally {
        await file.close();
      }
      return [checksums];
    });
    await keepWithin(settings);
  } finally {
    underWay.delete(entry);
  }
}
