// Repacking from files: threads of the library read the rows of a few groups at a time, and put them in place while they
// are in the core's own cache. Nothing passes through JavaScript. Whatever goes wrong on the way is left to whoever
// reads in pieces, who can say what it is.

import { open } from "node:fs/promises";
import { formatBytes, type WeightInfo, type WeightLocation, type WeightName, type WeightSource } from "@polyllama/core";
import type { Piece } from "@polyllama/planner";
import { groupRows } from "../modes.ts";
import { type EncodedStep, encodeRun, encodeSteps, runBytes } from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import { formatNumbers } from "../native/formats.ts";
import { stepBytes } from "../native/structs.ts";
import type { LoadJob } from "../weights/local.ts";
import { piecesOf, storedBytes } from "../weights/pieces.ts";

/** What a step reads, and a run: between runs progress is reported. */
const batchBytes = 32 << 20;
/** Memory of a thread, which takes a group (native/device.cpp). */
const scratchBytes = 4 << 20;

/** A file, open, as long as it is the one that the source has. */
interface OpenFile extends AsyncDisposable {
  /** As steps name it. */
  readonly file: number;
  isUnchanged(): Promise<boolean>;
}

/** Where threads can read a matrix; undefined for one that is handed over. */
export function locationOf(source: WeightSource, info: WeightInfo): WeightLocation | undefined {
  return storedBytes(info, groupRows) > scratchBytes ? undefined : source.locate?.(info.name);
}

/** See `LocalWeights.repack`. */
export async function repackFiles(
  job: LoadJob,
  arena: Arena,
  onBytes: (count: number) => void,
): Promise<ReadonlySet<WeightName>> {
  const inPlace = new Set<WeightName>();
  const files = new Map<string, { readonly location: WeightLocation; readonly pieces: Piece[] }>();
  for (const info of job.infos.values()) {
    const location = job.layout.places.has(info.name) ? locationOf(job.source, info) : undefined;
    if (location === undefined) continue;
    const file = files.get(location.path) ?? { location, pieces: [] };
    files.set(location.path, file);
    file.pieces.push(...piecesOf(info, batchBytes));
  }
  for (const { location, pieces } of files.values()) {
    await using file = await openUnchanged(location);
    if (file === undefined) continue;
    const failed = await repackPieces(job, arena, file.file, pieces, onBytes);
    if (!(await file.isUnchanged())) continue;
    for (const { info } of pieces) if (!failed.has(info.name)) inPlace.add(info.name);
  }
  return inPlace;
}

/** @returns names of weights that could not be read, or are not finite */
async function repackPieces(
  { machine, layout, source, signal }: LoadJob,
  arena: Arena,
  file: number,
  pieces: readonly Piece[],
  onBytes: (count: number) => void,
): Promise<ReadonlySet<WeightName>> {
  const failed = new Set<WeightName>();
  using told = machine.allocate(runBytes + stepBytes * pieces.length, "reading weights");
  for (let next = 0; next < pieces.length; ) {
    const batch: Piece[] = [];
    for (let bytes = 0; next < pieces.length && bytes < batchBytes; next++) {
      const piece = pieces[next]!; // below their number
      batch.push(piece);
      bytes += storedBytes(piece.info, piece.count);
    }
    const view = told.view();
    encodeSteps(
      view,
      runBytes,
      batch.map(({ info, first, count }): EncodedStep => {
        const { group, firstRow } = layout.places.get(info.name)!; // the caller saw it, and the next
        const offset = source.locate!(info.name)!.offset + formatBytes(info.format, first * group.columns);
        const step = {
          rows: count,
          from: BigInt(offset),
          to: arena.ref + BigInt(layout.matrices.get(group)!), // each group has a place
          format: formatNumbers[info.format],
          columns: group.columns,
          firstRow: firstRow + first,
          file,
        };
        return ["repack", step];
      }),
    );
    encodeRun(view, 0, { steps: told.ref + BigInt(runBytes), stepCount: batch.length });
    const { notFinite, unread } = await machine.run(told.ref, signal);
    for (const { info } of notFinite || unread !== undefined ? batch : []) failed.add(info.name);
    onBytes(batch.reduce((sum, { info, count }) => sum + (failed.has(info.name) ? 0 : storedBytes(info, count)), 0));
  }
  return failed;
}

/** Undefined where the path leads to another file by now, or to none. */
async function openUnchanged({ path, version }: WeightLocation): Promise<OpenFile | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  if (handle === undefined) return undefined;
  const file: OpenFile = {
    file: handle.fd + 1,
    async isUnchanged() {
      const { dev, ino, mtimeNs, ctimeNs } = await handle.stat({ bigint: true });
      return [dev, ino, mtimeNs, ctimeNs].join() === version;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
  if (await file.isUnchanged()) return file;
  await handle.close();
  return undefined;
}
