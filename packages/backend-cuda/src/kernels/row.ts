// A row of a step as kernels read it (common.cuh): which token it is, and where its sequence's keys and values lie.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs } from "../launch.ts";

const row = struct({ pool: u64, table: u64, block_bytes: u32, position: u32, token: u32, format: u32 });
export const structs: KernelStructs = { Row: row };

/** Positions of a KV block; the kernels' constant is the same. */
export const kvBlockRows = 32;

/** Formats in which kernels read keys and values. */
export const cacheFormats = ["f32", "f16", "bf16"] as const;
export type CudaCacheFormat = (typeof cacheFormats)[number];

/** Blocks of a sequence. */
export interface RowBlocks {
  /** Address of the pool's first block; 0 where the graph has no attention. */
  readonly pool: Handle;
  /** Address of the numbers of the sequence's blocks, u32. */
  readonly table: Handle;
  readonly blockBytes: number;
  readonly format: CudaCacheFormat;
}

export interface Row {
  readonly token: number;
  readonly blocks: RowBlocks;
  /** Place in the sequence. */
  readonly position: number;
}

/** What rows of graphs without attention have. */
export const noBlocks: RowBlocks = { pool: 0n, table: 0n, blockBytes: 0, format: "f32" };

/** Formats of keys and values, as kernels number them. */
const formatNumber: Readonly<Record<CudaCacheFormat, number>> = { f32: 0, f16: 1, bf16: 2 };

export const rowBytes: number = row.size;

export function writeRow(view: DataView, at: number, { token, blocks, position }: Row): void {
  const { pool, table, blockBytes, format } = blocks;
  row.write(view, at, { pool, table, block_bytes: blockBytes, position, token, format: formatNumber[format] });
}
