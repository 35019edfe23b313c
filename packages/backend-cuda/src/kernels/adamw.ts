// Launches of adamw.cu.

import type { AdamW } from "@polyllama/core";
import { f32, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { KernelStructs, Launch } from "../launch.ts";
import { type Elements, flatGrid } from "./elements.ts";

const parameters = struct({
  gradient: u64,
  squares: u64,
  settings: u64,
  weight: u64,
  first_moment: u64,
  second_moment: u64,
  new_weight: u64,
  new_first: u64,
  new_second: u64,
  count: u64,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  eps: f32,
  weight_decay: f32,
  max_norm: f32,
  max_squares: f32,
});
const finiteParameters = struct({ x: u64, found: u64, count: u64, width: u32, stride: u32 });
export const structs: KernelStructs = { Parameters: parameters, FiniteParameters: finiteParameters };

/** A weight and its moments. */
export interface Moments {
  readonly weight: Handle;
  readonly first: Handle;
  readonly second: Handle;
}

const largest = 3.4028234663852886e38;

/**
 * One step, over `words` words that lie alike in all of them.
 *
 * @param squares f32 [1]. @param settings f32 [3]. @param from The weight before, `to` behind it; they may be the same.
 */
export function adamW(
  { beta1, beta2, eps, weightDecay, maxNorm }: AdamW,
  words: number,
  given: { readonly gradient: Handle; readonly squares: Handle; readonly settings: Handle },
  from: Moments,
  to: Moments,
): Launch {
  return {
    image: "adamw",
    kernel: "adamw",
    grid: flatGrid(words),
    threads: 256,
    parameters: parameters.encode({
      ...given,
      weight: from.weight,
      first_moment: from.first,
      second_moment: from.second,
      new_weight: to.weight,
      new_first: to.first,
      new_second: to.second,
      count: BigInt(words),
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      eps,
      weight_decay: weightDecay,
      max_norm: Math.min(maxNorm, largest),
      max_squares: Math.min(maxNorm ** 2, largest),
    }),
  };
}

/** Makes u32 `found` 1 where an element is not finite. */
export function finite({ address, rows, width, stride }: Elements, found: Handle): Launch {
  const count = rows * width;
  return {
    image: "adamw",
    kernel: "all_finite",
    grid: flatGrid(count),
    threads: 256,
    parameters: finiteParameters.encode({ x: address, found, count: BigInt(count), width, stride }),
  };
}
