// Single layers at the dimensions of the published models, of synthetic checkpoints: their operations one by one.

import { openSynthetic } from "@polyllama/checkpoints";
import { llamaLayerGraph, presets } from "@polyllama/core";
import { type ConformanceCase, makeCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { verifyNodes } from "./nodes.ts";

const layers = combinations
  .combine("model", ["llama-2-7b", "llama-2-13b", "llama-2-70b"])
  .combine("format", ["q4_0", "q4_k"]);

export function layerCases(): readonly ConformanceCase[] {
  return layers.map(({ model, format }) =>
    makeCase(
      "model",
      "layer",
      { model, format },
      async (device, seed) => {
        const stream = random(`model ${model}`, seed);
        const config = presets[model];
        await using weights = openSynthetic(`synthetic://${model}?seed=${stream.integer(2 ** 31)}&format=${format}`);
        const inputs = { x: activations("normal", 3, config.dim, stream) };
        return verifyNodes(device, llamaLayerGraph(config, 0), weights, inputs, stream);
      },
      { ownBounds: true },
    ),
  );
}
