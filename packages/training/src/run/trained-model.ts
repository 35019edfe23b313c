// A model in training as the checkpoint that it would be if it were saved now.

import type { Checkpoint } from "@polyllama/checkpoints";
import type { WeightSource } from "@polyllama/core";

/**
 * The base with other weights; disposing it does nothing.
 *
 * @param trained Has at least the base's weights.
 */
export function trainedModel(base: Checkpoint, trained: WeightSource): Checkpoint {
  const weights = [...base.weights.keys()].flatMap((name) => {
    const info = trained.weights.get(name);
    return info === undefined ? [] : [[name, info] as const];
  });
  return {
    kind: base.kind,
    config: base.config,
    tokenizer: base.tokenizer,
    text: base.text,
    notices: [],
    stored: [],
    metadata: base.metadata,
    ...(base.companions && { companions: base.companions }),
    name: `${base.name} in training`,
    weights: new Map(weights),
    read: (name, ranges, signal) => trained.read(name, ranges, signal),
    fingerprint: () => trained.fingerprint(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
