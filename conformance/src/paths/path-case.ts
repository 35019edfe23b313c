// A case of a path: how real use reaches the kernels, where single operations and short texts do not: several sequences
// in a step, prompts in chunks, splits, what is fused, long texts.

import type { Device } from "@polyllama/core/device";
import type { Parameters } from "../address.ts";
import { type Check, type ConformanceCase, type Marks, makeCase } from "../case.ts";
import type { Finding } from "../comparison/measure.ts";
import { support, type Unsupported } from "../support.ts";
import { Play, type PlayOptions } from "./play.ts";
import { type PathModel, type Text, type TruthOptions, truthOf } from "./truth.ts";

/** Makes a case of what it does; name and parameters are its address. */
export function pathCase(name: string, parameters: Parameters, check: Check, marks: Marks = {}): ConformanceCase {
  return makeCase("path", name, parameters, check, marks);
}

/** A path of texts through one graph. */
export interface Walk extends TruthOptions, Partial<PlayOptions> {
  readonly model: PathModel;
  steps(play: Play, texts: readonly Text[]): Promise<void>;
}

/** Plays a walk on a device. */
export async function walk(device: Device, seed: number, options: Walk): Promise<Finding | Unsupported> {
  const { model, steps, twins = false, sequences = 0, capacity = Math.max(...options.lengths) } = options;
  const { graph, weights, texts } = await truthOf(model, device.roundings, seed, options);
  const supported = await support(device, { graph, weights });
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const play = new Play(loaded, { capacity, twins, sequences });
  await steps(play, texts);
  return play.finding;
}
