// y = x / sqrt(mean(x^2) + eps) weight, a workgroup per row: where no linear does it on the way.

import { f32, type NormStep, struct, u32 } from "@polyllama/planner";
import { activations, type Emitted, type Variant } from "./dispatch.ts";

const parameters = struct({
  width: u32,
  x_offset: u32,
  x_stride: u32,
  y_offset: u32,
  y_stride: u32,
  eps: f32,
});

export function emitNorm({ label, rows, x, norm, y }: NormStep): Emitted {
  const values = {
    width: y.width,
    x_offset: x.offset,
    x_stride: x.buffer.stride,
    y_offset: y.offset,
    y_stride: y.buffer.stride,
    eps: norm.eps,
  };
  const variant: Variant = {
    rows: Number.POSITIVE_INFINITY,
    spec: { kernel: "rms_norm", parameters, values: {}, access: "rrw" },
    grid: (count) => [count, 1, 1],
  };
  const resources = [activations(x), { kind: "vector", name: norm.weight } as const, activations(y)];
  return {
    dispatches: [{ label, variants: [variant], resources, parameters: parameters.encode(values), rows, work: 0 }],
  };
}
