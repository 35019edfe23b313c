// What came out of training, as sources of weights: apart from the device that it was trained on, or in the place of
// what a model had before.

import {
  type AdapterSource,
  adapterOf,
  cutWeight,
  type LoraGraph,
  resolveRanges,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";

/**
 * Copies of some weights, which stay when the source is gone.
 *
 * @throws what `source.read` throws.
 */
export async function copyWeights(
  source: WeightSource,
  names: Iterable<WeightName>,
  signal?: AbortSignal,
): Promise<WeightSource> {
  const copies = new Map<WeightName, Uint8Array<ArrayBuffer>>();
  for (const name of names) copies.set(name, await source.read(name, {}, signal));
  const id = crypto.randomUUID();
  return {
    name: source.name,
    weights: new Map([...source.weights].filter(([name]) => copies.has(name))),
    async read(name, ranges) {
      return cutWeight(copies.get(name)!, resolveRanges(source.weights.get(name)!, ranges)); // of those that are listed
    },
    fingerprint: async () => `copies ${id}`,
  };
}

/** The weights of a source, and those of another one in the place of its own of the same names, or beside them. */
export function withWeights(source: WeightSource, others: WeightSource): WeightSource {
  const of = (name: WeightName): WeightSource => (others.weights.has(name) ? others : source);
  return {
    name: source.name,
    weights: new Map([...source.weights, ...others.weights]),
    read: (name, ranges, signal) => of(name).read(name, ranges, signal),
    locate: (name) => of(name).locate?.(name),
    fingerprint: async () => JSON.stringify([await source.fingerprint(), await others.fingerprint()]),
  };
}

/**
 * The adapter among a trainer's weights, ready to be written or to be added to the parameters of a device: A and B of
 * its matrices, and the weights that were trained in full.
 *
 * @param trained What `Trainer.export` gave; the adapter reads from it.
 */
export function trainedAdapter(trained: WeightSource, lora: Pick<LoraGraph, "adapters" | "trained">): AdapterSource {
  const names = new Set([...[...lora.adapters.keys()].flatMap(adapterOf), ...lora.trained]);
  return {
    name: `adapter of ${trained.name}`,
    adapters: lora.adapters,
    weights: new Map([...trained.weights].filter(([name]) => names.has(name))),
    read: (name, ranges, signal) => trained.read(name, ranges, signal),
    fingerprint: async () => `adapter of ${await trained.fingerprint()}`,
  };
}
