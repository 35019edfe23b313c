// Reading weights onto the card. The file's bytes cross the bus as they are. What takes time is reading, so that several pieces are read
// at once, by the threads that Node reads files with, while the one before is moved and put in its place (upload.ts).

import {
  CheckpointError,
  type CompileOptions,
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
import { assertFinite, formats } from "@polyllama/formats";
import type { Gpu } from "../gpu.ts";
import type { DeviceMemory } from "../memory.ts";
import { type Matrix, planWeights, type WeightLayout } from "./layout.ts";
import { LoadedWeights } from "./loaded.ts";
import { NotFinite, Uploader } from "./upload.ts";

/** Bytes that are read from the source and copied at once: few enough that the processor's cache still has what was read. */
const pieceBytes = 2 << 20;
/** Pieces that are read or wait to be copied at the same time; Node reads with four threads. */
const readsAtOnce = 8;

/** The weights that a matrix holds, for errors. */
function namesOf({ places }: WeightLayout, matrix: Matrix): string {
  const names = [...places].filter(([, place]) => place.matrix === matrix).map(([name]) => name);
  return names.join(", ");
}

/**
 * Reads all weights of a graph onto the card.
 *
 * @throws {CheckpointError} naming the tensor; {@link PolyllamaError} `ERR_MEMORY`, before anything is read
 */
export async function loadWeights(
  gpu: Gpu,
  graph: Graph,
  source: WeightSource,
  { onProgress, signal }: CompileOptions,
): Promise<LoadedWeights> {
  const infos = checkWeights(graph, source);
  const layout = planWeights(graph, source.weights);
  const matrices = new Map<Matrix, DeviceMemory>();
  const vectors = new Map<WeightName, DeviceMemory>();
  try {
    for (const matrix of layout.matrices) matrices.set(matrix, gpu.allocate(matrix.bytes, namesOf(layout, matrix)));
    for (const [name, width] of layout.vectors) vectors.set(name, gpu.allocate(4 * width, name));
    const pieces = infos.flatMap(piecesOf);
    using uploader = new Uploader(gpu);
    const total = infos.reduce((sum, info) => sum + storedBytes(info), 0);
    let done = 0;
    try {
      for await (const [number, bytes] of readAhead(source, pieces, signal)) {
        const { info, first, count } = pieces[number]!;
        const vector = vectors.get(info.name);
        const place = layout.places.get(info.name);
        if (vector !== undefined || info.format === "q8_k") assertFinite(source, info, bytes, first);
        if (vector !== undefined) {
          const values = new Float32Array(columnCount(info));
          formats[info.format].dequantize(bytes, values);
          await uploader.plain(vector, new Uint8Array(values.buffer));
        }
        if (place !== undefined) {
          const { matrix, row } = place;
          await uploader.rows(matrix, matrices.get(matrix)!, row + first, count, bytes, number);
        }
        done += bytes.length;
        onProgress?.({ phase: "loading weights", done, total });
      }
      await uploader.finished();
    } catch (error) {
      if (error instanceof NotFinite) await explain(source, pieces[error.piece]!, signal);
      throw error;
    }
    return new LoadedWeights(layout, matrices, vectors);
  } catch (error) {
    for (const memory of [...matrices.values(), ...vectors.values()]) memory[Symbol.dispose]();
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

async function readPiece(source: WeightSource, { info, first, count }: Piece, signal: AbortSignal | undefined) {
  try {
    return await source.read(info.name, { first, count }, signal);
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
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [number, Uint8Array]> {
  const reads: Promise<Uint8Array>[] = [];
  let begun = 0;
  try {
    for (const number of pieces.keys()) {
      for (; begun < pieces.length && reads.length < readsAtOnce; begun++) {
        const read = readPiece(source, pieces[begun]!, signal);
        read.catch(() => undefined); // it is awaited in its turn
        reads.push(read);
      }
      const bytes = await reads.shift()!;
      signal?.throwIfAborted();
      yield [number, bytes];
    }
  } finally {
    await Promise.allSettled(reads); // the source may be closed when this has ended
  }
}

/** @throws {CheckpointError} naming the row and columns. */
async function explain(source: WeightSource, piece: Piece, signal: AbortSignal | undefined): Promise<never> {
  const { info, first } = piece;
  assertFinite(source, info, await readPiece(source, piece, signal), first);
  throw new PolyllamaError("ERR_BACKEND", `The card found a NaN in ${info.name} that the file has not; load it again.`);
}
