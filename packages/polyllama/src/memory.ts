// Whether a model fits with the cache of a whole context: said before its weights are loaded, not when the first text is written.

import { type Backend, type Graph, MemoryError, type WeightSource } from "@polyllama/core";

/** @throws {MemoryError} with the context that would fit, where the backend knows what its device has. */
export function checkFits(backend: Backend, graph: Graph, { weights }: WeightSource, contextLength: number): void {
  const { availableMemory } = backend;
  if (availableMemory === undefined) return;
  const needed = (capacity: number): number => {
    const { weights: matrices, cache, scratch } = backend.estimateMemory(graph, weights, capacity);
    return matrices + cache + scratch;
  };
  const whole = needed(contextLength);
  if (whole <= availableMemory) return;
  let fits = 0;
  for (let tooMuch = contextLength; tooMuch - fits > 1; ) {
    const middle = Math.floor((fits + tooMuch) / 2);
    if (needed(middle) <= availableMemory) fits = middle;
    else tooMuch = middle;
  }
  throw new MemoryError(`The model with a context of ${contextLength} positions`, whole, availableMemory, fits);
}
