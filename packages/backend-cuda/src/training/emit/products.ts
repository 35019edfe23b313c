// What linears and their gradients multiply: in f32 on CUDA cores, or with operands in bf16 on tensor cores. Weights that are
// not f32, which no optimizer updates, are multiplied in f32 either way.

import type { Handle } from "../../driver/api.ts";
import { gemm } from "../../kernels/gemm.ts";
import { inputGrad } from "../../kernels/input_grad.ts";
import {
  type ProductName,
  type ProductSizes,
  productBf16,
  type RoundedRows,
  roundBf16,
  roundedStride,
} from "../../kernels/product_bf16.ts";
import { type WeightTarget, weightGrad } from "../../kernels/weight_grad.ts";
import type { DeviceWeights } from "../../kernels/weights.ts";
import type { DeviceRows } from "../../launch.ts";
import type { Emitted, TrainingEmission } from "./emission.ts";

/** y [N, M] = x [N, K] W^T + residual */
export function emitProduct(
  e: TrainingEmission,
  x: DeviceRows,
  weights: DeviceWeights,
  y: DeviceRows,
  residual: DeviceRows | undefined,
): Emitted {
  if (!inBf16(e, weights)) return [gemm(e.rows, x, weights, y, residual)];
  const operands = [counted(x, e.rows), counted(floatRows(weights), y.width)] as const;
  return rounded("linear", { rows: e.rows, columns: y.width, depth: x.width }, operands, y, residual, e);
}

/** y [N, K] = cotangent [N, M] W + residual */
export function emitInputGrad(
  e: TrainingEmission,
  cotangent: DeviceRows,
  weights: DeviceWeights,
  y: DeviceRows,
  residual: DeviceRows | undefined,
): Emitted {
  if (!inBf16(e, weights)) return [inputGrad(e.rows, cotangent, weights, y, residual)];
  const operands = [counted(cotangent, e.rows), counted(floatRows(weights), cotangent.width)] as const;
  const sizes = { rows: e.rows, columns: weights.columns, depth: cotangent.width };
  return rounded("input_grad", sizes, operands, y, residual, e);
}

/** y [M, K] = cotangent^T [M, N] x [N, K] + residual */
export function emitWeightGrad(e: TrainingEmission, x: DeviceRows, cotangent: DeviceRows, y: WeightTarget): Emitted {
  if (e.products === "f32") return [weightGrad(e.rows, x, cotangent, y)];
  const operands = [counted(cotangent, e.rows), counted(x, e.rows)] as const;
  const residual = y.residual === undefined ? undefined : { address: y.residual, stride: y.stride };
  const sizes = { rows: cotangent.width, columns: y.stride, depth: e.rows };
  return rounded("weight_grad", sizes, operands, y, residual, e);
}

function inBf16({ products }: TrainingEmission, { format }: DeviceWeights): boolean {
  return products === "bf16" && format === "f32";
}

/** Weights of f32 as rows like others. */
function floatRows({ planes, first, pitch, columns }: DeviceWeights): DeviceRows {
  return { address: planes["W.q"] + BigInt(4 * pitch) * BigInt(first), width: columns, stride: pitch };
}

/** An operand, and how many rows it has. */
interface CountedRows {
  readonly rows: DeviceRows;
  readonly count: number;
}

const counted = (rows: DeviceRows, count: number): CountedRows => ({ rows, count });

/** Rounds both operands, and multiplies them. */
function rounded(
  name: ProductName,
  sizes: ProductSizes,
  operands: readonly [CountedRows, CountedRows],
  y: { readonly address: Handle; readonly stride: number },
  residual: { readonly address: Handle; readonly stride: number } | undefined,
  e: TrainingEmission,
): Emitted {
  const place = ({ rows: { width }, count }: CountedRows): RoundedRows => {
    const stride = roundedStride(width);
    return { address: e.scratch((count * stride) / 2), width, stride };
  };
  const [a, b] = [place(operands[0]), place(operands[1])];
  return [
    roundBf16(operands[0].count, operands[0].rows, a),
    roundBf16(operands[1].count, operands[1].rows, b),
    productBf16(name, sizes, [a, b], y, residual),
  ];
}
