// Rotary position embedding (Su et al., arXiv 2104.09864; Llama 2, section 2.2). Within each head the elements 2i and
// 2i + 1 form a pair that turns by position * theta^(-2i/d). This interleaved pairing is that of Meta's code and of GGUF;
// checkpoints in Hugging Face's half-split order are reordered when they are read.

import type { RopeScaling } from "../config.ts";
import type { ValueName } from "../graph.ts";

/** Rotates each head of x [N, H d] by its row's position; the shape stays. */
export interface RopeNode {
  readonly op: "rope";
  readonly output: ValueName;
  readonly x: ValueName;
  readonly headDim: number;
  readonly theta: number;
  readonly scaling: RopeScaling;
}

/**
 * Angle per position of pair i, in radians, for i from 0 to headDim / 2 - 1: `theta^(-2i / headDim)`, divided by the
 * factor of linear scaling. Float64; backends multiply by the position in float64 and round the sine and cosine once.
 */
export function ropeFrequencies({
  headDim,
  theta,
  scaling,
}: Pick<RopeNode, "headDim" | "theta" | "scaling">): Float64Array {
  const factor = scaling.type === "linear" ? scaling.factor : 1;
  return Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim) / factor);
}
