// Reading weights: pieces are read ahead, copied into one of two staging arenas, and put in place there by all threads
// while the next ones are read. Numbers that are NaN or infinite are found on the way.

import {
  CheckpointError,
  checkWeights,
  columnCount,
  formatBytes,
  type Graph,
  PolyllamaError,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import type { LoadParametersOptions } from "@polyllama/core/device";
import { assertFinite, formats } from "@polyllama/formats";
import type { Machine } from "../machine.ts";
import { groupRows } from "../modes.ts";
import { encodeRun, encodeSteps, runBytes } from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import { formatNumbers } from "../native/formats.ts";
import { stepBytes } from "../native/structs.ts";
import { planWeights, type WeightLayout } from "./layout.ts";
import { LoadedWeights } from "./loaded.ts";

/** Bytes that are read from the source at once. */
const pieceBytes = 4 << 20;
/** Pieces that are read or wait at the same time; Node reads with four threads, one of which computes. */
const readsAtOnce = 4;
/** Before the bytes of a piece: the run and its step. */
const headBytes = Math.ceil((runBytes + stepBytes) / 64) * 64;

interface LoadOptions extends Pick<LoadParametersOptions, "onProgress"> {
  readonly signal: AbortSignal;
}

/**
 * Reads the weights of graphs.
 *
 * @throws {CheckpointError} naming the tensor; `MemoryError`, before anything is read
 */
export async function loadWeights(
  machine: Machine,
  graphs: readonly Graph[],
  source: WeightSource,
  options: LoadOptions,
): Promise<LoadedWeights> {
  const infos = new Map(graphs.flatMap((graph) => checkWeights(graph, source)).map((info) => [info.name, info]));
  const layout = planWeights(graphs, infos);
  const arena = machine.allocate(layout.bytes, "the weights");
  try {
    await readAll(machine, layout, arena, [...infos.values()], source, options);
    return new LoadedWeights(infos, layout, arena);
  } catch (error) {
    arena[Symbol.dispose]();
    throw error;
  }
}

async function readAll(
  machine: Machine,
  layout: WeightLayout,
  arena: Arena,
  infos: readonly WeightInfo[],
  source: WeightSource,
  { onProgress, signal }: LoadOptions,
): Promise<void> {
  const pieces = infos.flatMap(piecesOf);
  const largest = Math.max(...pieces.map(({ info, count }) => storedBytes(info, count)));
  const staging = [0, 1].map(() => machine.allocate(headBytes + largest, "reading weights"));
  const total = infos.reduce((sum, info) => sum + storedBytes(info, rowCount(info)), 0);
  const under: Promise<void>[] = [];
  let done = 0;
  try {
    for await (const [number, bytes] of readAhead(source, pieces, signal)) {
      const piece = pieces[number]!; // its number
      const { info, first } = piece;
      const norm = layout.norms.get(info.name);
      if (norm !== undefined) {
        assertFinite(source, info, bytes, first);
        formats[info.format].dequantize(bytes, arena.floatsAt(norm + 4 * first, columnCount(info)));
      }
      if (layout.places.has(info.name)) {
        if (under.length === staging.length) await under.shift();
        const [slot] = staging.splice(0, 1);
        under.push(put(machine, layout, arena, piece, bytes, slot!, source, signal));
        staging.push(slot!);
      }
      done += bytes.length;
      onProgress?.({ phase: "loading weights", done, total });
    }
    await Promise.all(under);
  } finally {
    await Promise.allSettled(under);
    for (const slot of staging) slot[Symbol.dispose]();
  }
}

/** Puts the rows of a piece where they belong. @throws {CheckpointError} where they are not finite */
async function put(
  machine: Machine,
  layout: WeightLayout,
  arena: Arena,
  { info, first, count }: Piece,
  bytes: Uint8Array,
  slot: Arena,
  source: WeightSource,
  signal: AbortSignal,
): Promise<void> {
  const { group, firstRow } = layout.places.get(info.name)!; // the caller saw it
  slot.bytesAt(headBytes, bytes.length).set(bytes);
  const step = {
    rows: count,
    from: slot.ref + BigInt(headBytes),
    to: arena.ref + BigInt(layout.matrices.get(group)!), // each group has a place
    format: formatNumbers[info.format],
    columns: group.columns,
    firstRow: firstRow + first,
  };
  const view = slot.view();
  encodeSteps(view, runBytes, [["repack", step]]);
  encodeRun(view, 0, { steps: slot.ref + BigInt(runBytes), stepCount: 1 });
  const { notFinite } = await machine.run(slot.ref, signal);
  if (!notFinite) return;
  assertFinite(source, info, bytes, first);
  throw new PolyllamaError(
    "ERR_BACKEND",
    `The kernels found a NaN in ${info.name} that the file has not; load it again.`,
  );
}

/** Rows of a tensor that are read at once, from a multiple of 16 on. */
interface Piece {
  readonly info: WeightInfo;
  readonly first: number;
  readonly count: number;
}

function storedBytes(info: WeightInfo, rows: number): number {
  return formatBytes(info.format, rows * columnCount(info));
}

function piecesOf(info: WeightInfo): readonly Piece[] {
  const rows = rowCount(info);
  const groups = Math.max(1, Math.floor(pieceBytes / storedBytes(info, groupRows)));
  const step = groupRows * groups;
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
