// What packed files of this backend hold: the arena of the weights, byte for byte, under one checksum for each page.

import { checksumBlock, keyOf, type PackedContent } from "@polyllama/planner/packed-weights";
import type { LoadJob } from "../weights/local.ts";

/** Raised whenever weights lie otherwise in memory (native/repack.cpp, weights/layout.ts). */
const packingVersion = 1;

/** Bytes of a page (native/read.cpp). */
export const pageBytes: number = checksumBlock;

/** The packed file of a job's weights. */
export async function packedContent({ source, layout }: Pick<LoadJob, "source" | "layout">): Promise<PackedContent> {
  const { bytes, groups, matrices, norms } = layout;
  const plan = groups.map((group) => [
    matrices.get(group),
    group.format,
    group.rows,
    group.columns,
    group.members.map(({ name }) => name),
  ]);
  return {
    source: source.name,
    key: keyOf(["cpu", packingVersion, await source.fingerprint(), bytes, plan, [...norms]]),
    packingVersion,
    bytes,
    ranges: [{ name: "weights", offset: 0, length: bytes }],
  };
}
