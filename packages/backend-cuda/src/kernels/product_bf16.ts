// Launches of product_bf16.cu: what training multiplies on tensor cores, with operands in bf16.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const roundParameters = struct({ x: u64, y: u64, columns: u32, x_stride: u32, y_stride: u32 });
const productParameters = struct({
  a: u64,
  b: u64,
  y: u64,
  residual: u64,
  rows: u32,
  columns: u32,
  depth: u32,
  a_stride: u32,
  b_stride: u32,
  y_stride: u32,
  residual_stride: u32,
});
export const structs: KernelStructs = { RoundParameters: roundParameters, ProductParameters: productParameters };

const image = "product_bf16";
/** Of y, a block's. */
const [tileRows, tileColumns] = [128, 64];

/** Rows in bf16. */
export interface RoundedRows {
  readonly address: Handle;
  readonly width: number;
  /** 16-bit values from row to row; zeros lie behind the columns. */
  readonly stride: number;
}

/** 16-bit values from row to row of so many columns. */
export function roundedStride(columns: number): number {
  return Math.ceil(columns / 8) * 8;
}

/** Rows as bf16. */
export function roundBf16(rows: number, x: DeviceRows, y: RoundedRows): Launch {
  return {
    image,
    kernel: "round_bf16",
    grid: [rows, 1, 1],
    threads: 128,
    parameters: roundParameters.encode({
      x: x.address,
      y: y.address,
      columns: x.width,
      x_stride: x.stride,
      y_stride: y.stride,
    }),
  };
}

/**
 * Which product: `linear`, a [R, D] b^T [D, C]; `input_grad`, a [R, D] b [D, C]; `weight_grad`, a^T [R, D] b [D, C].
 */
export type ProductName = "linear" | "input_grad" | "weight_grad";

/** A product's sizes. */
export interface ProductSizes {
  /** R, of y. */
  readonly rows: number;
  /** C, of y; may count what lies behind the columns, which becomes zero. */
  readonly columns: number;
  /** D, the terms of a sum. */
  readonly depth: number;
}

/** y [R, C], plus a residual where one is given, which may be y. */
export function productBf16(
  name: ProductName,
  { rows, columns, depth }: ProductSizes,
  [a, b]: readonly [RoundedRows, RoundedRows],
  y: Pick<DeviceRows, "address" | "stride">,
  residual: Pick<DeviceRows, "address" | "stride"> | undefined,
): Launch {
  return {
    image,
    kernel: `${name}_bf16`,
    grid: [Math.ceil(columns / tileColumns), Math.ceil(rows / tileRows), 1],
    threads: 128,
    parameters: productParameters.encode({
      a: a.address,
      b: b.address,
      y: y.address,
      residual: residual?.address ?? 0n,
      rows,
      columns,
      depth,
      a_stride: a.stride,
      b_stride: b.stride,
      y_stride: y.stride,
      residual_stride: residual?.stride ?? 0,
    }),
  };
}
