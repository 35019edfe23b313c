// The selected rows of a value, densely.

import { type GatherStep, struct, u32 } from "@polyllama/planner";
import { activations, type Emitted, elementwise } from "./dispatch.ts";

const parameters = struct({ width: u32, x_offset: u32, x_stride: u32, y_offset: u32, y_stride: u32 });

export function emitGather(step: GatherStep): Emitted {
  const { x, y } = step;
  const values = {
    width: x.width,
    x_offset: x.offset,
    x_stride: x.buffer.stride,
    y_offset: y.offset,
    y_stride: y.buffer.stride,
  };
  const spec = { kernel: "gather_rows", parameters, values: {}, access: "rrw" } as const;
  const resources = [activations(x), { kind: "selection" } as const, activations(y)];
  return elementwise(step, spec, parameters.encode(values), resources, x.width);
}
