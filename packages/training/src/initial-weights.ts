// The weights that pre-training begins with. The paper does not say; these are GPT-2's and GPT-NeoX's, which most Llamas
// trained in public begin with: matrices normally distributed with a standard deviation of 0.02, those whose result is
// added to the residual stream smaller by the root of how many there are, norms of one.

import {
  cutWeight,
  type LlamaConfig,
  llamaGraph,
  resolveRanges,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { joinSeeds, normals } from "./random.ts";

const deviation = 0.02;

/**
 * Weights of a model that has not learned anything yet, f32.
 *
 * @param seed Equal seeds give equal weights.
 */
export function initialWeights(config: LlamaConfig, seed: number): WeightSource {
  const specs = llamaGraph(config).weights;
  const weights = new Map<string, WeightInfo>(specs.map((spec) => [spec.name, { ...spec, format: "f32" }]));
  const values = (index: number, { name, shape }: WeightInfo): Float32Array<ArrayBuffer> => {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (shape.length === 1) return new Float32Array(elements).fill(1);
    const isResidual = /\.(?:attention\.wo|feed_forward\.w2)\./.test(name);
    const scale = isResidual ? deviation / Math.sqrt(2 * config.layers) : deviation;
    const next = normals(joinSeeds(seed, index));
    return Float32Array.from({ length: elements }, () => scale * next());
  };
  return {
    name: `initial weights of seed ${seed}`,
    weights,
    async read(name, ranges) {
      const index = specs.findIndex((spec) => spec.name === name);
      const info = weights.get(name)!; // the caller asks for what is listed
      return cutWeight(new Uint8Array(values(index, info).buffer), resolveRanges(info, ranges));
    },
    fingerprint: async () => `initial ${seed} ${JSON.stringify(config)}`,
  };
}
