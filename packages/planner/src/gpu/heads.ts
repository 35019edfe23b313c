// Heads that attention kernels compute: of even size, as they read pairs, and no larger than what a thread block holds.

import { type Node, UnsupportedError } from "@polyllama/core";

/** A backend's answer to `Device.supports`. @param most Largest size of a head, where there is one. */
export function supportsHeads(
  backend: string,
  node: Node,
  most: number = Number.POSITIVE_INFINITY,
): true | UnsupportedError {
  if (node.op !== "attention" || (node.headDim <= most && node.headDim % 2 === 0)) return true;
  const { output, heads, kvHeads, headDim } = node;
  const limit = Number.isFinite(most) ? ` up to ${most}` : "";
  return new UnsupportedError(
    `attention ${output}: heads of ${headDim}; the ${backend} backend computes heads of even size${limit}`,
    "Use another backend.",
    { op: node.op, shapes: { q: ["rows", heads * headDim], k: ["rows", kvHeads * headDim] } },
  );
}
