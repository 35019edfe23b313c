// Root-mean-square normalization (Llama 2, section 2.2; Zhang and Sennrich, arXiv 1910.07467): no mean is subtracted
// and there is no bias. The epsilon stands inside the root.

import type { ValueName, WeightName } from "../graph.ts";

/** `output = x / sqrt(mean(x^2) + eps) * weight`, row by row: x [N, D], weight [D] -> [N, D]. */
export interface RmsNormNode {
  readonly op: "rmsNorm";
  readonly output: ValueName;
  readonly x: ValueName;
  readonly weight: WeightName;
  readonly eps: number;
}
