// What the kernels do not compute.

import { type Node, UnsupportedError } from "@polyllama/core";
import { mostHeadDim } from "./kernels/heads.ts";

export function supports(node: Node): true | UnsupportedError {
  if (node.op !== "attention") return true;
  const { output, heads, kvHeads, headDim } = node;
  if (headDim <= mostHeadDim && headDim % 2 === 0) return true;
  return new UnsupportedError(
    `attention ${output}: heads of ${headDim}; the CUDA backend computes heads of even size up to ${mostHeadDim}`,
    "Use the cpu backend.",
    { op: node.op, shapes: { q: ["rows", heads * headDim], k: ["rows", kvHeads * headDim] } },
  );
}
