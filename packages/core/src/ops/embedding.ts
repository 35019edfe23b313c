// Row look-up: the residual stream starts as one row of the table per token. The table is [V, D] in any stored format.

import type { ValueName, WeightName } from "../graph.ts";

/** `output[n] = table[tokens[n]]`: tokens [N], table [V, D] -> [N, D]. A token outside [0, V) is an error, not a row. */
export interface EmbeddingNode {
  readonly op: "embedding";
  readonly output: ValueName;
  readonly tokens: ValueName;
  readonly table: WeightName;
}
