// y = a + b: where no linear adds it to its result.

import { type AddStep, struct, u32 } from "@polyllama/planner";
import { activations, type Emitted, elementwise } from "./dispatch.ts";

const parameters = struct({
  width: u32,
  a_offset: u32,
  a_stride: u32,
  b_offset: u32,
  b_stride: u32,
  y_offset: u32,
  y_stride: u32,
});

export function emitAdd(step: AddStep): Emitted {
  const { a, b, y } = step;
  const values = {
    width: y.width,
    a_offset: a.offset,
    a_stride: a.buffer.stride,
    b_offset: b.offset,
    b_stride: b.buffer.stride,
    y_offset: y.offset,
    y_stride: y.buffer.stride,
  };
  const spec = { kernel: "add", parameters, values: {}, access: "rrw" } as const;
  return elementwise(step, spec, parameters.encode(values), [a, b, y].map(activations), y.width);
}
