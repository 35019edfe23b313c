// The residual connection. The stream it carries is f32 or wider on every backend.

import type { ValueName } from "../graph.ts";

/** `output = a + b`: a, b [N, D] -> [N, D]. */
export interface AddNode {
  readonly op: "add";
  readonly output: ValueName;
  readonly a: ValueName;
  readonly b: ValueName;
}
