// Packing: the checkpoint's weights, a few MiB at a time, into the arrays of one file. An array's bytes are made and
// written from its first to its last, and its checksums are made of them on the way: of what was meant, not of what the
// disk kept.

import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { formatBytes, type Progress, type WeightSource } from "@polyllama/core";
import { assertFinite } from "@polyllama/formats";
import { checkRoom, inFolder, packedFile, writeFully } from "@polyllama/planner/packed-weights";
import type { Layout, PackedMatrix } from "../pack/layout.ts";
import { checksummer } from "./checksums.ts";

/** What packing does with its file. */
export type PackFile = Pick<FileHandle, "write" | "truncate" | "sync" | "close">;

export interface PackOptions {
  /** Wait until the disk has the bytes. */
  readonly durable: boolean;
  /** Opens the file for writing; tests put failing disks here. */
  readonly openFile?: ((path: string) => Promise<PackFile>) | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** About this many bytes of the checkpoint are read at once. */
const chunkBytes = 4 << 20;

/**
 * Writes the packed file into a folder. Errors name the folder that this one was made in.
 *
 * @returns The checksums of its arrays.
 * @throws {FolderFailure}; `CheckpointError` for NaN or infinite weights; what reading the weights throws.
 */
export async function packInto(
  folder: string,
  source: WeightSource,
  layout: Layout,
  { durable, openFile = openForWriting, onProgress, signal }: PackOptions,
): Promise<readonly string[]> {
  let total = 0;
  for (const { format, rows, columns } of layout.matrices) total += formatBytes(format, rows * columns);
  let done = 0;
  const report = (bytes: number): void => {
    done += bytes;
    onProgress?.({ phase: "packing weights", done, total });
  };
  report(0);
  const parent = dirname(folder);
  await checkRoom(parent, layout.bytes);
  const start = await checksummer();
  const checksums: string[] = [];
  const file = await inFolder(parent, () => openFile(join(folder, packedFile)));
  try {
    await inFolder(parent, () => file.truncate(layout.bytes));
    for (const matrix of layout.matrices) {
      const sums = matrix.parts.map(start);
      const write: Writer = async (part, bytes, position) => {
        sums[part]?.update(bytes);
        await inFolder(parent, () => writeFully(file, bytes, position));
      };
      await packMatrix(write, source, matrix, report, signal);
      checksums.push(...sums.map((sum) => sum.digest()));
    }
    if (durable) await inFolder(parent, () => file.sync());
  } finally {
    await file.close();
  }
  return checksums;
}

function openForWriting(path: string): Promise<PackFile> {
  return open(path, "w");
}

/** Writes bytes of a part at a position of the file. */
type Writer = (part: number, bytes: Uint8Array, position: number) => Promise<void>;

async function packMatrix(
  write: Writer,
  source: WeightSource,
  matrix: PackedMatrix,
  report: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const rowBytes = formatBytes(matrix.format, matrix.columns);
  const most = Math.max(1, Math.floor(chunkBytes / rowBytes));
  for (const { weight, firstRow, rows } of matrix.members) {
    for (let first = 0; first < rows; first += most) {
      signal?.throwIfAborted();
      const chunk = Math.min(most, rows - first);
      const bytes = await source.read(weight, { rows: { first, count: chunk } }, signal);
      assertFinite(source, source.weights.get(weight)!, bytes, first);
      const outputs = matrix.parts.map(({ spec }) => new Uint8Array(chunk * spec.bytesPerRow));
      matrix.packer.pack(bytes, outputs);
      for (const [index, { spec, array }] of matrix.parts.entries()) {
        await write(index, outputs[index]!, array.offset + (firstRow + first) * spec.bytesPerRow);
      }
      report(bytes.length);
    }
  }
}
