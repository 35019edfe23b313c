// Products with weights and with rows: a linear by inference's kernels, and its gradients, in register tiles for software
// adapters and in tiles in workgroup memory for GPUs.

import { struct, u32, type WeightGroup } from "@polyllama/planner";
import { formatValues } from "../../emit/linear.ts";
import { unitsPerRow } from "../../pack.ts";
import { declareKernel, part, type View } from "../commands.ts";
import { bindingPieces, matrixStride, type RowRange } from "../layout.ts";
import type { MatrixPiece } from "../matrices.ts";
import type { Bound, Emitted, TrainingEmission } from "./emission.ts";
import { InferenceViews } from "./inference.ts";

/** x [N, K] times pieces of a matrix, y [N, M] from the column of y that each piece has. */
export function linearKernels(
  label: string,
  pieces: readonly MatrixPiece[],
  { x, y, residual }: { readonly x: Bound; readonly y: Bound; readonly residual?: Bound | undefined },
  e: TrainingEmission,
): Emitted {
  const views = new InferenceViews(e);
  const [first] = pieces;
  if (first === undefined) return [];
  const { format, columns } = first;
  const matrixRows = y.width;
  const group: WeightGroup = { members: [], format, rows: matrixRows, columns, alternating: 0 };
  const step = {
    kind: "linear",
    label,
    rows: "all",
    group,
    firstRow: 0,
    matrixRows,
    x: views.place(x),
    converted: false,
    norm: undefined,
    residual: residual && views.place(residual),
    gated: undefined,
    y: views.place(y),
  } as const;
  return views.emit(
    step,
    pieces.map((piece) => views.part(piece, piece.first)),
  );
}

const inputGradParameters = struct({
  units: u32, // of 32 columns in a row of W
  rows: u32, // of W, in this part of it
  before: u32, // columns of the cotangent before theirs
  width: u32, // of y
  cotangent_stride: u32, // in vectors of four
  y_stride: u32,
  residual_stride: u32,
  high: u32, // where the plane of high bits begins among the scales
  four: u32, // 4, not known to compilers: unrolled loops take software adapters many seconds to compile
});

const inputGrads = {
  software: declareKernel("input_grad", inputGradParameters, "rrrwr"),
  hardware: declareKernel("input_grad_tiled", inputGradParameters, "rrrwr"),
} as const;

/** Kernels for GPUs use no subgroups. */
function softwareSubgroups({ gpu: { family, features } }: TrainingEmission): boolean {
  return family === "software" && features.subgroups;
}

/** cotangent [N, M] times pieces of a matrix from the other side, y [N, K] + residual; or + y, where `adds` is true. */
export function inputGradKernels(
  label: string,
  pieces: readonly MatrixPiece[],
  operands: {
    readonly cotangent: Bound;
    readonly y: Bound;
    readonly residual?: Bound | undefined;
    readonly adds?: boolean;
  },
  e: TrainingEmission,
): Emitted {
  const { cotangent, y, adds = false } = operands;
  const { family } = e.gpu;
  return pieces.map((piece, i) => {
    const { format, columns, count, first, quants, scales, high } = piece;
    const adding = adds || i > 0;
    const residual = adding ? undefined : operands.residual;
    const parameters = {
      units: unitsPerRow(columns),
      rows: count,
      before: first,
      width: columns,
      cotangent_stride: cotangent.stride / 4,
      y_stride: y.stride / 4,
      residual_stride: (residual?.stride ?? 0) / 4,
      high,
      four: 4,
    };
    const flags = { RESIDUAL: residual !== undefined, ADD: adding };
    const values = { ...formatValues({ format }), ...flags, SUBGROUPS: softwareSubgroups(e) };
    const resources = [cotangent.view, quants, scales, y.view, ...(residual ? [residual.view] : [])];
    const tile = family === "software" ? ([128, 4] as const) : ([64, 64] as const);
    const grid = [Math.ceil(columns / tile[0]), Math.ceil(e.rows / tile[1]), 1] as const;
    return inputGrads[family](`${label} ${format}`, values, parameters, resources, grid, e.rows * count * columns);
  });
}

const weightGradParameters = struct({
  first: u32, // column of the cotangent that the first row of y is of
  rows: u32, // of y
  width: u32, // of x
  x_stride: u32, // in vectors of four
  cotangent_stride: u32,
  y_stride: u32,
  four: u32,
});

const weightGrads = {
  software: declareKernel("weight_grad", weightGradParameters, "rrwr"),
  hardware: declareKernel("weight_grad_tiled", weightGradParameters, "rrwr"),
} as const;

/** Rows `first` to `first + count - 1` of y [M, K] = cotangent^T x + residual, from the first columns of the cotangent on. */
export function weightGradKernels(
  label: string,
  { x, cotangent }: { readonly x: Bound; readonly cotangent: Bound },
  { y, residual }: { readonly y: View; readonly residual: View | undefined },
  rows: RowRange,
  e: TrainingEmission,
): Emitted {
  const stride = matrixStride(x.width);
  const { family } = e.gpu;
  return bindingPieces(rows.count, stride, e.gpu.limits).map(({ first, count }) => {
    const own = (view: View): View => part(view, (rows.first + first) * stride, count * stride);
    const parameters = {
      first,
      rows: count,
      width: x.width,
      x_stride: x.stride / 4,
      cotangent_stride: cotangent.stride / 4,
      y_stride: stride / 4,
      four: 4,
    };
    const resources = [x.view, cotangent.view, own(y), ...(residual ? [own(residual)] : [])];
    const grid = [Math.ceil(stride / 64), Math.ceil(count / (family === "software" ? 8 : 64)), 1] as const;
    const values = { RESIDUAL: residual !== undefined, SUBGROUPS: softwareSubgroups(e) };
    return weightGrads[family](label, values, parameters, resources, grid, e.rows * count * stride);
  });
}
