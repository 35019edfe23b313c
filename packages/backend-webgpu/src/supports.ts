// What the kernels do not compute.

import { type Node, UnsupportedError } from "@polyllama/core";

export function supports(node: Node): true | UnsupportedError {
  if (node.op !== "attention" || node.headDim % 2 === 0) return true;
  const { output, heads, kvHeads, headDim } = node;
  return new UnsupportedError(
    `attention ${output}: heads of ${headDim}; the WebGPU backend computes heads of even size`,
    "Use another backend.",
    { op: node.op, shapes: { q: ["rows", heads * headDim], k: ["rows", kvHeads * headDim] } },
  );
}
