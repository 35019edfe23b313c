// y = x W^T, with what is fused into it, by one of three kernels: register tiles for software adapters; on GPUs tiles
// in workgroup memory for many rows, and a kernel for few rows, which alone has norms and swiglu. A matrix beyond one
// binding is multiplied part by part; each writes the columns of y that it has.

import type { FormatName } from "@polyllama/core";
import { f32, type LinearStep, struct, u32, type WeightGroup } from "@polyllama/planner";
import { unitsPerRow } from "../pack.ts";
import type { ShaderValues } from "../shader.ts";
import type { MatrixPart } from "../weights/layout.ts";
import { activations, type Dispatch, type Emission, type Emitted, type Resource, type Variant } from "./dispatch.ts";

const parameters = struct({
  units: u32, // of 32 inputs in a row of W
  rows: u32, // of W, in this part of it
  before: u32, // rows of the parts before
  width: u32, // of x
  x_offset: u32, // in vectors of four
  x_stride: u32,
  y_offset: u32,
  y_stride: u32,
  residual_offset: u32,
  residual_stride: u32,
  high: u32, // where the plane of high bits begins among the scales
  alternating: u32, // rows of each of two matrices whose rows alternate in W, or 0
  selected: u32, // 1 where only the selected rows are computed
  eps: f32,
  four: u32, // 4, not known to compilers: unrolled loops take software adapters many seconds to compile
});

export function emitLinear(step: LinearStep, emission: Emission): Emitted {
  return { dispatches: emission.layout.parts.get(step.group)!.map((part) => dispatchOf(step, part, emission)) };
}

function dispatchOf(step: LinearStep, part: MatrixPart, emission: Emission): Dispatch {
  const { label, rows, group, x, y, norm, residual } = step;
  const { columns, alternating } = group;
  const extra: Resource[] = [];
  if (norm !== undefined) extra.push({ kind: "vector", name: norm.weight });
  if (residual !== undefined) extra.push(activations(residual));
  return {
    label,
    variants: variantsOf(step, part.rows, `rrrw${"r".repeat(extra.length)}`, emission),
    resources: [activations(x), { kind: "quants", part }, { kind: "scales", part }, activations(y), ...extra],
    parameters: parameters.encode({
      units: unitsPerRow(columns),
      rows: part.rows,
      before: part.before,
      width: columns,
      x_offset: x.offset / 4,
      x_stride: x.buffer.stride / 4,
      y_offset: y.offset,
      y_stride: y.buffer.stride,
      residual_offset: residual?.offset ?? 0,
      residual_stride: residual?.buffer.stride ?? 0,
      high: part.high,
      alternating,
      selected: rows === "selected" ? 1 : 0,
      eps: norm?.eps ?? 0,
      four: 4,
    }),
    rows,
    work: part.rows * columns,
  };
}

function variantsOf(
  { group, norm, residual, gated }: LinearStep,
  matrixRows: number,
  access: string,
  { mode, family, subgroups }: Emission,
): readonly Variant[] {
  const flags = {
    ...formatValues(group),
    NORM: norm !== undefined,
    RESIDUAL: residual !== undefined,
    SWIGLU: gated !== undefined,
    TAIL: group.columns % 32 !== 0,
  };
  const any = Number.POSITIVE_INFINITY;
  const tile = (rows: number, tokens: number, most: number): Variant => {
    const values = { ROWS: rows, ROWS_HALF: rows / 2, TOKENS: tokens, WORKGROUP: 16, SUBGROUPS: subgroups };
    return {
      rows: most,
      spec: { kernel: "linear", parameters, values: { ...flags, ...values }, access },
      grid: (count) => [Math.ceil(count / tokens), Math.ceil(matrixRows / (rows * 16)), 1],
    };
  };
  const wide = (rows: number, tokens: number, most: number): Variant => {
    const slots = tokens * (rows + 1);
    // Without subgroups every invocation has its partial sums; the smallest subgroups have 4.
    const shared = slots * (subgroups ? 16 : 64);
    const values = { ROWS: rows, TOKENS: tokens, SLOTS: slots, SHARED: shared, SUBGROUPS: subgroups };
    return {
      rows: most,
      spec: { kernel: "linear_wide", parameters, values: { ...flags, ...values }, access },
      grid: (count) => [Math.ceil(count / tokens), Math.ceil(matrixRows / rows), 1],
    };
  };
  if (family === "software") return mode === "decode" ? [tile(4, 1, 1), tile(4, 4, any)] : [tile(4, 4, any)];
  // For a few selected rows the kernel for few serves prefill, too.
  if (mode === "decode" || norm !== undefined || gated !== undefined)
    return [wide(4, 1, 1), wide(4, subgroups ? 4 : 2, any)];
  const grid: Variant["grid"] = (count) => [Math.ceil(matrixRows / 64), Math.ceil(count / 64), 1];
  return [{ rows: any, spec: { kernel: "linear_tiled", parameters, values: flags, access }, grid }];
}

/** Formats with one scale for a whole unit of 32 values, by which sums of quants are multiplied. */
const scaled: ReadonlySet<FormatName> = new Set(["q8_0", "q4_0", "q5_0", "iq4_nl", "q8_k"]);

/** What kernels that read weights are told of their format. */
export function formatValues({ format }: Pick<WeightGroup, "format">): ShaderValues {
  return { FORMAT: `format_${format}`, SCALED: scaled.has(format) };
}
