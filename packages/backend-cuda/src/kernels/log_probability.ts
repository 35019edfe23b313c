// Launches of log_probability.cu: over a piece of the vocabulary each.

import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const parameters = struct({
  x: u64,
  targets: u64,
  states: u64,
  y: u64,
  log_sum_exp: u64,
  first: u32,
  width: u32,
  x_stride: u32,
  y_stride: u32,
  sum_stride: u32,
  begins: u32,
  ends: u32,
  scale: f32,
});
const gradParameters = struct({
  x: u64,
  targets: u64,
  log_sum_exp: u64,
  cotangent: u64,
  first: u32,
  width: u32,
  x_stride: u32,
  sum_stride: u32,
  cotangent_stride: u32,
  scale: f32,
});
export const structs: KernelStructs = { Parameters: parameters, GradParameters: gradParameters };

/** Words that what is known of a row between pieces takes. */
export const stateWords = 4;

/** A piece of the vocabulary. */
export interface Piece {
  /** Its first token. */
  readonly first: number;
  readonly begins: boolean;
  readonly ends: boolean;
}

/** Results for each row: what the target's logit is less, and the target's log-probability. */
export interface LogProbabilities {
  readonly y: DeviceRows;
  readonly sums: DeviceRows;
  /** f32 [N, 4] between pieces. */
  readonly states: Handle;
}

/** @param logits Of the piece. @param targets i32 [N] */
export function logSumExp(
  rows: number,
  logits: DeviceRows,
  targets: Handle,
  temperature: number,
  { first, begins, ends }: Piece,
  { y, sums, states }: LogProbabilities,
): Launch {
  return {
    image: "log_probability",
    kernel: "log_sum_exp",
    grid: [rows, 1, 1],
    threads: 256,
    parameters: parameters.encode({
      x: logits.address,
      targets,
      states,
      y: y.address,
      log_sum_exp: sums.address,
      first,
      width: logits.width,
      x_stride: logits.stride,
      y_stride: y.stride,
      sum_stride: sums.stride,
      begins: begins ? 1 : 0,
      ends: ends ? 1 : 0,
      scale: 1 / temperature,
    }),
  };
}

/** Puts the gradients of logits in their place. */
export function softmaxGrad(
  rows: number,
  logits: DeviceRows,
  targets: Handle,
  temperature: number,
  first: number,
  { sums, cotangent }: { readonly sums: DeviceRows; readonly cotangent: DeviceRows },
): Launch {
  return {
    image: "log_probability",
    kernel: "softmax_grad",
    grid: [Math.ceil(logits.width / 128), rows, 1],
    threads: 128,
    parameters: gradParameters.encode({
      x: logits.address,
      targets,
      log_sum_exp: sums.address,
      cotangent: cotangent.address,
      first,
      width: logits.width,
      x_stride: logits.stride,
      sum_stride: sums.stride,
      cotangent_stride: cotangent.stride,
      scale: 1 / temperature,
    }),
  };
}
