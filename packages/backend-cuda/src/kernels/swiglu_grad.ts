// Launches of swiglu_grad.cu.

import { struct, u32, u64 } from "@polyllama/planner";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({
  gate: u64,
  up: u64,
  cotangent: u64,
  gate_grad: u64,
  up_grad: u64,
  width: u32,
  gate_stride: u32,
  up_stride: u32,
  cotangent_stride: u32,
  gate_grad_stride: u32,
  up_grad_stride: u32,
});
export const structs: KernelStructs = { Parameters: parameters };

/** Rows of what a swiglu was computed from, or of their gradients. */
export interface GateAndUp {
  readonly gate: DeviceRows;
  readonly up: DeviceRows;
}

export function swigluGrad(rows: number, { gate, up }: GateAndUp, cotangent: DeviceRows, grads: GateAndUp): Launch {
  return {
    image: "swiglu_grad",
    kernel: "swiglu_grad",
    grid: [Math.ceil(gate.width / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      gate: gate.address,
      up: up.address,
      cotangent: cotangent.address,
      gate_grad: grads.gate.address,
      up_grad: grads.up.address,
      width: gate.width,
      gate_stride: gate.stride,
      up_stride: up.stride,
      cotangent_stride: cotangent.stride,
      gate_grad_stride: grads.gate.stride,
      up_grad_stride: grads.up.stride,
    }),
  };
}
