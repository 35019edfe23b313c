// Launches of sample.cu, and what the host says to it for each draw.

import type { DrawOptions } from "@polyllama/core";
import { f32, f64, struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const draw = struct({
  p: f64,
  chosen: u64,
  seed_low: u32,
  seed_high: u32,
  scale: f32,
  position: u32,
  top_k: u32,
  least: u32,
  greedy: u32,
  row: u32,
});
const parameters = struct({ logits: u64, table: u64, draws: u64, V: u32, stride: u32 });
const takeParameters = struct({ tokens: u64, rows: u64, count: u32 });
export const structs: KernelStructs = { Draw: draw, Parameters: parameters, TakeParameters: takeParameters };

export const drawBytes: number = draw.size;

/** Which row of logits is drawn from, and where the token goes. */
export interface DrawPlace {
  readonly row: number;
  /** Tokens before the one to be drawn. */
  readonly position: number;
  readonly chosen: Handle;
}

export function writeDraw(
  view: DataView,
  at: number,
  options: DrawOptions,
  { row, position, chosen }: DrawPlace,
): void {
  const { temperature, topP, topK, minP, seed } = options;
  draw.write(view, at, {
    p: topP,
    chosen,
    seed_low: seed % 2 ** 32,
    seed_high: Math.floor(seed / 2 ** 32),
    scale: Math.LOG2E / temperature,
    position,
    top_k: Math.min(topK, 2 ** 32 - 1),
    least: Math.ceil(minP * 2 ** 30),
    greedy: temperature === 0 ? 1 : 0,
    row,
  });
}

/** @param table Core's table of powers, u32. @param draws As {@link writeDraw} wrote them. */
export function sample(count: number, logits: DeviceRows, table: Handle, draws: Handle): Launch {
  return {
    image: "sample",
    kernel: "sample",
    grid: [count, 1, 1],
    threads: 512,
    parameters: parameters.encode({ logits: logits.address, table, draws, V: logits.width, stride: logits.stride }),
  };
}

/**
 * Puts tokens into the rows of a step, each of which has the number of its own.
 *
 * @param tokens Where the tokens' address stands: that of u32, or 0 where the rows have their tokens already.
 */
export function takeTokens(rows: number, step: Handle, tokens: Handle): Launch {
  return {
    image: "sample",
    kernel: "take_tokens",
    grid: [Math.ceil(rows / 128), 1, 1],
    threads: 128,
    parameters: takeParameters.encode({ tokens, rows: step, count: rows }),
  };
}
