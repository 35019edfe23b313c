// y = silu(gate) up: where their linears do not give it.

import { type SwigluStep, struct, u32 } from "@polyllama/planner";
import { activations, type Emitted, elementwise } from "./dispatch.ts";

const parameters = struct({
  width: u32,
  gate_offset: u32,
  gate_stride: u32,
  up_offset: u32,
  up_stride: u32,
  y_offset: u32,
  y_stride: u32,
});

export function emitSwiglu(step: SwigluStep): Emitted {
  const { gate, up, y } = step;
  const values = {
    width: y.width,
    gate_offset: gate.offset,
    gate_stride: gate.buffer.stride,
    up_offset: up.offset,
    up_stride: up.buffer.stride,
    y_offset: y.offset,
    y_stride: y.buffer.stride,
  };
  const spec = { kernel: "swiglu", parameters, values: {}, access: "rrw" } as const;
  return elementwise(step, spec, parameters.encode(values), [gate, up, y].map(activations), y.width);
}
