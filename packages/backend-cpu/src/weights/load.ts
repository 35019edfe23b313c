// Loading weights: from a packed copy where there is one, else from the checkpoint, whose rows are put in place by all
// threads. No checkpoint's file can be used as it is, not even one of f32: kernels read rows in groups of 16, interleaved.

import {
  checkWeights,
  columnCount,
  type Graph,
  PolyllamaError,
  type Progress,
  rowCount,
  type WeightSource,
} from "@polyllama/core";
import type { LoadParametersOptions } from "@polyllama/core/device";
import { assertFinite, formats } from "@polyllama/formats";
import { type Piece, readAhead } from "@polyllama/planner";
import type { Machine } from "../machine.ts";
import { encodeRun, encodeSteps, runBytes } from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import { formatNumbers } from "../native/formats.ts";
import { stepBytes } from "../native/structs.ts";
import { planWeights } from "./layout.ts";
import { LoadedWeights } from "./loaded.ts";
import type { LoadJob, LocalWeights } from "./local.ts";
import { piecesOf, readsAtOnce, storedBytes } from "./pieces.ts";

/** Before the bytes of a piece: the run and its step. */
const headBytes = Math.ceil((runBytes + stepBytes) / 64) * 64;

interface LoadOptions extends Pick<LoadParametersOptions, "onProgress"> {
  readonly signal: AbortSignal;
}

/**
 * Loads the weights of graphs.
 *
 * @throws {CheckpointError} naming the tensor; `MemoryError`, before anything is read
 */
export async function loadWeights(
  machine: Machine,
  graphs: readonly Graph[],
  source: WeightSource,
  local: LocalWeights | undefined,
  options: LoadOptions,
): Promise<LoadedWeights> {
  const infos = new Map(graphs.flatMap((graph) => checkWeights(graph, source)).map((info) => [info.name, info]));
  const layout = planWeights(graphs, infos);
  const job: LoadJob = { machine, layout, infos, source, ...options };
  const found = await local?.find(job, (arena) => readAll(job, arena, local));
  if (found !== undefined) return new LoadedWeights(infos, layout, found, source);
  const arena = machine.allocate(layout.bytes, "the weights");
  try {
    await readAll(job, arena, local);
    const kept = (await local?.keep(job, arena)) ?? { arena, release: async () => undefined };
    return new LoadedWeights(infos, layout, kept, source);
  } catch (error) {
    arena[Symbol.dispose]();
    throw error;
  }
}

async function readAll(job: LoadJob, arena: Arena, local: LocalWeights | undefined): Promise<void> {
  const { layout, infos, onProgress } = job;
  const total = [...infos.values()].reduce((sum, info) => sum + storedBytes(info, rowCount(info)), 0);
  let done = 0;
  const report = (count: number): void => {
    done += count;
    onProgress?.({ phase: "loading weights", done, total } satisfies Progress);
  };
  const inPlace = (await local?.repack(job, arena, report)) ?? new Set();
  const rest = [...infos.values()].filter(({ name }) => !inPlace.has(name) || layout.norms.has(name));
  await readPieces(
    job,
    arena,
    rest.flatMap((info) => piecesOf(info)),
    report,
  );
}

/** Pieces are read ahead, copied into one of two staging arenas, and put in place there while the next ones are read. */
async function readPieces(
  job: LoadJob,
  arena: Arena,
  pieces: readonly Piece[],
  report: (count: number) => void,
): Promise<void> {
  const { machine, layout, source, signal } = job;
  const largest = Math.max(0, ...pieces.map(({ info, count }) => storedBytes(info, count)));
  const staging = [0, 1].map(() => machine.allocate(headBytes + largest, "reading weights"));
  const under: Promise<void>[] = [];
  try {
    for await (const [number, bytes] of readAhead(source, pieces, readsAtOnce, signal)) {
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
        under.push(put(job, arena, piece, bytes, slot!));
        staging.push(slot!);
      }
      report(bytes.length);
    }
    await Promise.all(under);
  } finally {
    await Promise.allSettled(under);
    for (const slot of staging) slot[Symbol.dispose]();
  }
}

/** Puts the rows of a piece where they belong. @throws {CheckpointError} where they are not finite */
async function put(
  { machine, layout, source, signal }: LoadJob,
  arena: Arena,
  { info, first, count }: Piece,
  bytes: Uint8Array,
  slot: Arena,
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
    file: 0,
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
