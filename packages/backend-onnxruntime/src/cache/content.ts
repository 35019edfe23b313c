// What packed files of ONNX Runtime's depend on, and how they are checked.

import { open } from "node:fs/promises";
import type { Progress, WeightSource } from "@polyllama/core";
import { type CheckPacked, checkSized, keyOf, type PackedContent } from "@polyllama/planner/packed-weights";
import { packingVersion } from "../pack/index.ts";
import type { Layout } from "../pack/layout.ts";
import { findDamage, packedArrays } from "./checksums.ts";

/** The file of a layout. */
export async function packedContent(source: WeightSource, layout: Layout): Promise<PackedContent> {
  const plan = layout.matrices.map(({ format, packer, columns, rows, members, parts }) => [
    format,
    packer.bits,
    columns,
    rows,
    members,
    parts.map(({ array }) => [array.name, array.shape, array.offset, array.length]),
  ]);
  return {
    source: source.name,
    key: keyOf([packingVersion, await source.fingerprint(), layout.bytes, plan]),
    packingVersion,
    bytes: layout.bytes,
    ranges: packedArrays(layout),
  };
}

/** Reads a packed file whole and compares it with its checksums. */
export function checkWith(
  layout: Layout,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): CheckPacked {
  const total = packedArrays(layout).reduce((sum, { length }) => sum + length, 0);
  const show = (done: number): void => onProgress?.({ phase: "checking packed weights", done, total });
  return async (path, checksums) => {
    const file = await open(path, "r");
    try {
      show(0);
      return await findDamage(file, layout, checksums, show, signal);
    } finally {
      await file.close();
    }
  };
}

/** Compares the packed file in a folder with its checksums. @returns What is wrong with it, as a clause. */
export function checkFolder(
  folder: string,
  layout: Layout,
  checksums: readonly string[],
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<string | undefined> {
  return checkSized(folder, layout.bytes, checksums, checkWith(layout, onProgress, signal));
}
