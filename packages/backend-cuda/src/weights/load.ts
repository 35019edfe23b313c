// Reading weights onto the card. The file's bytes cross the bus as they are. What takes time is reading, so that
// several pieces are read at once, by the threads that Node reads files with, while the one before is moved and put in
// its place (upload.ts).

import {
  CheckpointError,
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
import type { WeightGroup } from "@polyllama/planner";
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
    return new LoadedWeights(infos, layout, { matrices, vectors }, exponents);
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
    for await (const [number, bytes] of readAhead(source, pieces, signal)) {
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

/** Rows of a tensor that are read at once. */
interface Piece {
  readonly info: WeightInfo;
  readonly first: number;
  readonly count: number;
}

function piecesOf(info: WeightInfo): readonly Piece[] {
  const rows = rowCount(info);
  const step = Math.max(1, Math.floor((pieceBytes * rows) / storedBytes(info)));
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    return { info, first: i * step, count: Math.min(step, rows - i * step) };
  });
}

async function readPiece(source: WeightSource, { info, first, count }: Piece, signal: AbortSignal) {
  try {
    return await source.read(info.name, { rows: { first, count } }, signal);
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.tensor !== undefined) throw error;
    const rows = `rows ${first} to ${first + count - 1} could not be read`;
    throw new CheckpointError({ file: error.file, tensor: info.name }, rows, error.message, { cause: error });
  }
}

/** Pieces in their order, with their numbers; those behind are being read meanwhile. */
async function* readAhead(
  source: WeightSource,
  pieces: readonly Piece[],
  signal: AbortSignal,
): AsyncGenerator<readonly [number, Uint8Array]> {
  const reads: Promise<Uint8Array>[] = [];
  let begun = 0;
  try {
    for (const number of pieces.keys()) {
      for (; begun < pieces.length && reads.length < readsAtOnce; begun++) {
        const read = readPiece(source, pieces[begun]!, signal); // below their number
        read.catch(() => undefined); // it is awaited in its turn
        reads.push(read);
      }
      const bytes = await reads.shift()!; // this piece's, begun above
      signal.throwIfAborted();
      yield [number, bytes];
    }
  } finally {
    await Promise.allSettled(reads); // the source may be closed when this has ended
  }
}

/** @throws {CheckpointError} naming the row and columns. */
async function explain(source: WeightSource, piece: Piece, signal: AbortSignal): Promise<never> {
  const { info, first } = piece;
  assertFinite(source, info, await readPiece(source, piece, signal), first);
  throw new PolyllamaError("ERR_BACKEND", `The card found a NaN in ${info.name} that the file has not; load it again.`);
}
