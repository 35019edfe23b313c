// Reading weights onto the card. The file's bytes cross the bus as they are. What takes time is reading, so that
// several pieces are read at once, by the threads that Node reads files with, while the one before is moved and put in
// its place (upload.ts).

import {
  checkWeights,
  columnCount,
  formatBytes,
  type Graph,
  PolyllamaError,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { LoadParametersOptions } from "@polyllama/core/device";
import { assertFinite, formats } from "@polyllama/formats";
import { cutRows, type Piece, readAhead, readPiece, type WeightGroup } from "@polyllama/planner";
import type { Gpu } from "../gpu.ts";
import type { DeviceMemory } from "../memory.ts";
import { findExponents } from "./exponents.ts";
import { planWeights, type WeightLayout } from "./layout.ts";
import { LoadedWeights, type WeightMemory } from "./loaded.ts";
import { NotFinite, Uploader } from "./upload.ts";

/**
 * Bytes that are read from the source and copied at once: few enough that the processor's cache still has what was
 * read.
 */
const pieceBytes = 2 << 20;
/** Pieces that are read or wait to be copied at the same time; Node reads with four threads. */
const readsAtOnce = 8;

/** What loading is told beside what to load. */
export interface LoadOptions extends Pick<LoadParametersOptions, "onProgress"> {
  readonly signal: AbortSignal;
  /** Whether linears of many rows go to tensor cores. */
  readonly tensorCores: boolean;
}

/**
 * Reads the weights of graphs onto the card.
 *
 * @throws {CheckpointError} naming the tensor; `MemoryError`, before anything is read
 */
export async function loadWeights(
  gpu: Gpu,
  graphs: readonly Graph[],
  source: WeightSource,
  options: LoadOptions,
): Promise<LoadedWeights> {
  const infos = new Map(graphs.flatMap((graph) => checkWeights(graph, source)).map((info) => [info.name, info]));
  const layout = planWeights(graphs, infos);
  const matrices = new Map<WeightGroup, DeviceMemory>();
  const vectors = new Map<WeightName, DeviceMemory>();
  try {
    for (const [group, { bytes }] of layout.matrices) {
      matrices.set(group, gpu.allocate(bytes, group.members.map(({ name }) => name).join(", ")));
    }
    for (const info of layout.vectors) vectors.set(info.name, gpu.allocate(4 * columnCount(info), info.name));
    await readAll(gpu, layout, { matrices, vectors }, [...infos.values()], source, options);
    const exponents = options.tensorCores ? await findExponents(gpu, layout, matrices) : undefined;
    return new LoadedWeights(gpu, infos, layout, { matrices, vectors }, { exponents, source });
  } catch (error) {
    for (const memory of [...matrices.values(), ...vectors.values()]) memory[Symbol.dispose]();
    throw error;
  }
}

async function readAll(
  gpu: Gpu,
  layout: WeightLayout,
  { matrices, vectors }: WeightMemory,
  infos: readonly WeightInfo[],
  source: WeightSource,
  { onProgress, signal }: LoadOptions,
): Promise<void> {
  const pieces = infos.flatMap(piecesOf);
  using uploader = new Uploader(gpu);
  const total = infos.reduce((sum, info) => sum + storedBytes(info), 0);
  let done = 0;
  try {
    for await (const [number, bytes] of readAhead(source, pieces, readsAtOnce, signal)) {
      const { info, first, count } = pieces[number]!; // its number
      const vector = vectors.get(info.name);
      const place = layout.places.get(info.name);
      if (vector !== undefined || info.format === "q8_k") assertFinite(source, info, bytes, first);
      if (vector !== undefined) {
        const values = new Float32Array(columnCount(info));
        formats[info.format].dequantize(bytes, values);
        await uploader.plain(vector, new Uint8Array(values.buffer));
      }
      if (place !== undefined) {
        const { group, firstRow } = place;
        // The layout has a matrix for each group, and each has its memory.
        const [matrix, memory] = [layout.matrices.get(group)!, matrices.get(group)!];
        await uploader.rows(matrix, memory, firstRow + first, count, bytes, number);
      }
      done += bytes.length;
      onProgress?.({ phase: "loading weights", done, total });
    }
    await uploader.finished();
  } catch (error) {
    if (error instanceof NotFinite) await explain(source, pieces[error.piece]!, signal); // its number, too
    throw error;
  }
}

function storedBytes(info: WeightInfo): number {
  return formatBytes(info.format, rowCount(info) * columnCount(info));
}

function piecesOf(info: WeightInfo): readonly Piece[] {
  const rows = rowCount(info);
  const step = Math.max(1, Math.floor((pieceBytes * rows) / storedBytes(info)));
  return cutRows(info, rows, step);
}

/** @throws {CheckpointError} naming the row and columns. */
async function explain(source: WeightSource, piece: Piece, signal: AbortSignal): Promise<never> {
  const { info, first } = piece;
  assertFinite(source, info, await readPiece(source, piece, signal), first);
  throw new PolyllamaError("ERR_BACKEND", `The card found a NaN in ${info.name} that the file has not; load it again.`);
}
