// Sequences as bytes: a head, then for every attention the keys and the values of its blocks
// [blocks][heads][blockRows][padded d]. Whatever stands behind the last position in its block comes along and is never
// read. Which heads have buffers of their own does not show.

import { type ExportedKind, headBytes, readLength, writeHead } from "@polyllama/planner";
import { usage } from "../gpu.ts";
import { blockBytes, blocksFor } from "./layout.ts";
import type { PoolBlocks, PoolPart } from "./pool-part.ts";

/** "GPU1", as a little-endian word. */
const mark = 0x31555047;

/** Bytes that are read back or written at once. */
const pieceBytes = 16 << 20;

function kindOf({ spec, format }: PoolBlocks): ExportedKind {
  return { mark, spec, format };
}

/** Where some heads of a block are among the exported bytes, and in their buffer. */
interface Piece {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
  readonly at: number;
}

/** All of them, in the order of the bytes. */
function* piecesOf(pool: PoolBlocks, table: readonly number[]): Generator<Piece> {
  let at = headBytes(kindOf(pool));
  for (const parts of pool.parts) {
    for (const side of ["keys", "values"] as const) {
      for (const block of table) {
        for (const part of parts) {
          yield pieceOf(part, side, block, at);
          at += part.blockBytes;
        }
      }
    }
  }
}

function pieceOf(part: PoolPart, side: "keys" | "values", block: number, at: number): Piece {
  return { buffer: part[side], offset: block * part.blockBytes, bytes: part.blockBytes, at };
}

/** Pieces by as many as are moved at once. */
function* batchesOf(pieces: Iterable<Piece>): Generator<readonly Piece[]> {
  let batch: Piece[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    if (batch.length > 0 && bytes + piece.bytes > pieceBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(piece);
    bytes += piece.bytes;
  }
  if (batch.length > 0) yield batch;
}

/** The content of a sequence's blocks, behind what was submitted before. */
export async function exportBlocks(pool: PoolBlocks, table: readonly number[], length: number): Promise<Uint8Array> {
  const { gpu, spec, format } = pool;
  const kind = kindOf(pool);
  const exported = new Uint8Array(headBytes(kind) + table.length * blockBytes(spec, format));
  writeHead(exported, kind, length);
  for (const batch of batchesOf(piecesOf(pool, table))) {
    const first = batch[0]!.at; // no batch is empty
    const bytes = batch.reduce((sum, piece) => sum + piece.bytes, 0);
    const staging = await gpu.guard("export of a cache", () => {
      const buffer = gpu.buffer("exported cache", bytes, usage.mapRead | usage.copyTarget);
      const encoder = gpu.device.createCommandEncoder({ label: "export" });
      for (const { buffer: from, offset, bytes: size, at } of batch) {
        encoder.copyBufferToBuffer(from, offset, buffer, at - first, size);
      }
      gpu.device.queue.submit([encoder.finish()]);
      return buffer;
    });
    try {
      await gpu.wait(staging.mapAsync(usage.mapRead));
      exported.set(new Uint8Array(staging.getMappedRange(), 0, bytes), first);
    } finally {
      gpu.free(staging);
    }
  }
  return exported;
}

/** Positions of exported bytes. @throws {PolyllamaError} `ERR_OPTION` for those of another kind */
export function exportedLength(pool: PoolBlocks, bytes: Uint8Array): number {
  return readLength(bytes, kindOf(pool), (length) => blocksFor(length) * blockBytes(pool.spec, pool.format));
}

/** Writes exported bytes into blocks, behind what was submitted before. */
export async function importBlocks(pool: PoolBlocks, table: readonly number[], exported: Uint8Array): Promise<void> {
  const { queue } = pool.gpu.device;
  const content = new Uint8Array(exported); // in memory that the queue takes
  for (const batch of batchesOf(piecesOf(pool, table))) {
    await pool.gpu.guard("import of a cache", () => {
      for (const { buffer, offset, bytes, at } of batch) {
        queue.writeBuffer(buffer, offset, content.subarray(at, at + bytes));
      }
      queue.submit([]);
    });
    await pool.gpu.wait(queue.onSubmittedWorkDone());
  }
}
