// y = x with each head's pairs turned by their row's angles: where the write to the cache does not do it.

import { type RopeStep, struct, u32 } from "@polyllama/planner";
import { activations, type Emission, type Emitted, elementwise } from "./dispatch.ts";

const parameters = struct({
  pairs: u32, // in a row
  head_pairs: u32, // and in a head
  x_offset: u32,
  x_stride: u32,
  y_offset: u32,
  y_stride: u32,
  table_offset: u32, // where this rotation's columns begin in the table
  table_stride: u32,
});

/** @param backwards Whether pairs turn back, as in gradients. */
export function emitRope(step: RopeStep, { plan }: Pick<Emission, "plan">, backwards = false): Emitted {
  const { rotation, x, y } = step;
  const pairs = y.width / 2;
  const values = {
    pairs,
    head_pairs: rotation.headDim / 2,
    x_offset: x.offset,
    x_stride: x.buffer.stride,
    y_offset: y.offset,
    y_stride: y.buffer.stride,
    table_offset: rotation.offset,
    table_stride: plan.rotationStride,
  };
  const spec = { kernel: "rope", parameters, values: { BACKWARDS: backwards }, access: "rrw" } as const;
  const resources = [activations(x), { kind: "rotation" } as const, activations(y)];
  return elementwise(step, spec, parameters.encode(values), resources, pairs);
}
