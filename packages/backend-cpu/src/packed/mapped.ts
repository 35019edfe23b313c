// A packed file as the memory of weights, where there is less memory than they take: its pages are dropped and read again
// as the system needs to. Where there is none yet, weights are repacked into a file that is mapped likewise.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { PolyllamaError } from "@polyllama/core";
import {
  type CacheSettings,
  type CheckPacked,
  checkRoom,
  type FillPacked,
  inFolder,
  openCached,
  type PackedContent,
  packedFile,
  writeFully,
} from "@polyllama/planner/packed-weights";
import type { Machine } from "../machine.ts";
import type { Arena } from "../native/engine.ts";
import type { KeptWeights, LoadJob } from "../weights/local.ts";
import { checkPages, sumPages } from "./pages.ts";

const zeroBytes = 4 << 20;

/** @throws {FolderFailure}; what `fill` throws; the signal's reason */
export async function mapPacked(
  job: LoadJob,
  content: PackedContent,
  settings: CacheSettings,
  fill: (arena: Arena) => Promise<void>,
): Promise<KeptWeights> {
  const { machine, signal, onProgress } = job;
  let mapped: Arena | undefined;
  const check: CheckPacked = async (path, [checksums = ""]) => {
    mapped?.[Symbol.dispose]();
    mapped = await mapFile(machine, path, "r", content.bytes);
    const onBytes = (done: number): void =>
      onProgress?.({ phase: "checking packed weights", done, total: content.bytes });
    return checkPages(machine, mapped, checksums, { signal, onBytes });
  };
  const write: FillPacked = async (folder) => {
    await checkRoom(settings.folder, content.bytes);
    const path = join(folder, packedFile);
    await inFolder(settings.folder, () => writeZeros(path, content.bytes, signal));
    using arena = await mapFile(machine, path, "r+", content.bytes);
    await fill(arena);
    return [await sumPages(machine, arena)];
  };
  try {
    const packed = await openCached(content, settings, { fill: write, check }, signal);
    return { arena: mapped!, release: () => packed.release() }; // what is open was checked
  } catch (error) {
    mapped?.[Symbol.dispose]();
    throw error;
  }
}

/** The mapping stays when the file is closed. */
async function mapFile(machine: Machine, path: string, access: "r" | "r+", bytes: number): Promise<Arena> {
  const file = await open(path, access);
  try {
    const arena = machine.engine.map?.(bytes, { file: file.fd, writable: access === "r+" });
    if (arena === undefined) throw new PolyllamaError("ERR_BACKEND", "the system does not map it");
    return arena;
  } finally {
    await file.close();
  }
}

/** The disk must have room before a mapping is written: there nothing could say that it is full. */
async function writeZeros(path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const file = await open(path, "wx");
  try {
    const zeros = new Uint8Array(zeroBytes);
    for (let at = 0; at < bytes; at += zeroBytes) {
      signal.throwIfAborted();
      await writeFully(file, zeros.subarray(0, bytes - at), at);
    }
  } finally {
    await file.close();
  }
}
