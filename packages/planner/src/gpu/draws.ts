// Which draws kernels make.

import { createSampler, type DrawOptions, UnsupportedError } from "@polyllama/core";
import type { Draw } from "@polyllama/core/device";

/** Draws that were seen: a text is drawn by one and the same. */
const checked = new WeakSet<Draw>();

/** @throws {UnsupportedError}; {@link OptionError} where an option is out of range */
export function checkDraw(backend: string, draw: Draw): void {
  if (checked.has(draw)) return;
  const { penalties, logitBias, mask, temperature, topK, topP, minP, seed } = draw;
  if (penalties !== undefined || logitBias !== undefined || mask !== undefined) {
    throw new UnsupportedError(
      `The ${backend} backend draws tokens without penalties, biases and masks`,
      "Ask for the logits on the host, and draw with `createSampler`.",
      { op: "token" },
    );
  }
  const options: DrawOptions = { temperature, topK, topP, minP, seed };
  createSampler(options);
  checked.add(draw);
}
