// The published models, and the shapes of their matrices.

import { type PresetName, presets } from "@polyllama/core";

export const publishedModels: readonly ["llama-2-7b", "llama-2-13b", "llama-2-70b"] = [
  "llama-2-7b",
  "llama-2-13b",
  "llama-2-70b",
];

/** By their shape, since wk and wv of 7B and 13B have that of wq. */
export function matricesOf(model: PresetName): readonly { readonly k: number; readonly m: number }[] {
  const { dim, hiddenDim, kvHeads, headDim } = presets[model];
  const all = [
    { k: dim, m: dim },
    { k: dim, m: kvHeads * headDim },
    { k: dim, m: hiddenDim },
    { k: hiddenDim, m: dim },
  ];
  return [...new Map(all.map((shape) => [`${shape.k},${shape.m}`, shape])).values()];
}
