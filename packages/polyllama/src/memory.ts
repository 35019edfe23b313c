// Whether a model fits with the cache of a whole context: said before its weights are loaded, not when the first text
// is written.

import { type Graph, MemoryError, type WeightSource } from "@polyllama/core";
import { type CacheFormat, cacheBytes, cacheSpec, type Device } from "@polyllama/core/device";

/** @throws {MemoryError} with the context that would fit, where the device knows what it has. */
export async function checkFits(
  device: Device,
  graph: Graph,
  { weights }: WeightSource,
  contextLength: number,
  cacheFormat?: CacheFormat,
): Promise<void> {
  const { free } = await device.memory();
  if (free === undefined) return;
  const needed = (positions: number): number => {
    const { weights: matrices, cache, scratch } = device.estimateMemory(graph, weights, positions);
    const asked = cacheFormat === undefined ? cache : cacheBytes(cacheSpec(graph), cacheFormat, positions);
    return matrices + asked + scratch;
  };
  const whole = needed(contextLength);
  if (whole <= free) return;
  let fits = 0;
  for (let tooMuch = contextLength; tooMuch - fits > 1; ) {
    const middle = Math.floor((fits + tooMuch) / 2);
    if (needed(middle) <= free) fits = middle;
    else tooMuch = middle;
  }
  throw new MemoryError(`The model with a context of ${contextLength} positions`, whole, free, fits);
}
