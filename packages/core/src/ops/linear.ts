// The only operation with large weights. A weight is stored as its rows, [M, K]: M outputs, each a dot product over K
// inputs, in any format of `formats/`; its values are ggml's f32 values of that format.

import type { ValueName, WeightName } from "../graph.ts";

/** `output = x weight^T`: x [N, K], weight [M, K] -> [N, M]. There is no bias. */
export interface LinearNode {
  readonly op: "linear";
  readonly output: ValueName;
  readonly x: ValueName;
  readonly weight: WeightName;
}
