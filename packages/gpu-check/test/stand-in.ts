// The reference in a card's place, and models and cases that it computes at once.

import { reference } from "@polyllama/backend-reference";
import { type ConformanceCase, conformanceCases, forwardDevice } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import type { BenchTask } from "../src/speed/tasks.ts";

export const few: readonly ConformanceCase[] = conformanceCases().filter(({ address }) =>
  /^op:(add|swiglu):.*=1;/.test(address),
);

export const tiny: BenchTask = {
  label: "tiny",
  model: "synthetic://llama-2-7b?layers=2&dim=64&heads=4&kv_heads=2&hidden=96&vocab=259&context=64&format=q4_0",
  prefill: [8],
  contexts: [6],
  batches: { sizes: [1, 3], context: 4 },
};

/** The reference under f32's roundings, by the name of the backend that it stands for. */
export function standIn(): Device {
  const device = reference();
  return forwardDevice(device, { name: "cuda", roundings: { ...device.roundings, unit: 2 ** -24, exp: 4 } });
}
