// A row of a step as kernels read it (common.cuh): which token it is, where its sequence's cache lies, and its place in there.

import type { CacheFormat } from "@polyllama/core";
import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs } from "../launch.ts";

const row = struct({ cache: u64, capacity: u32, position: u32, token: u32, format: u32 });
export const structs: KernelStructs = { Row: row };

export interface Row {
  readonly token: number;
  /** Address of the sequence's cache; 0 where the graph has no attention. */
  readonly cache: Handle;
  readonly capacity: number;
  readonly format: CacheFormat;
  /** Place in the cache. */
  readonly position: number;
}

const formatNumber: Readonly<Record<CacheFormat, number>> = { f32: 0, f16: 1, bf16: 2 };

export const rowBytes: number = row.size;

export function writeRow(view: DataView, at: number, { cache, capacity, position, token, format }: Row): void {
  row.write(view, at, { cache, capacity, position, token, format: formatNumber[format] });
}
