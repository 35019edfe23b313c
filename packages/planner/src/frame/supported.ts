// What backends with kernels for inference alone answer when they are asked for an operation.

import { isTraining, type Node, UnsupportedError } from "@polyllama/core";

/**
 * A backend's answer to `Device.supports`: it does not train, and computes attention with heads of even size, as its
 * kernels read pairs, that are no larger than what a thread block holds.
 *
 * @param most Largest size of a head, where there is one; `any` size, odd ones too, where no kernel reads pairs.
 */
export function supportsInference(
  backend: string,
  node: Node,
  most: number | "any" = Number.POSITIVE_INFINITY,
): true | UnsupportedError {
  if (isTraining(node)) {
    const { op, output } = node;
    const problem = `${op} ${output}: the ${backend} backend does not train, and has no kernel for this`;
    return new UnsupportedError(problem, "Use the cpu backend.", { op });
  }
  return supportsHeads(backend, node, most);
}

/** The same of a backend that trains. */
export function supportsHeads(
  backend: string,
  node: Node,
  most: number | "any" = Number.POSITIVE_INFINITY,
): true | UnsupportedError {
  const hasHeads = node.op === "attention" || node.op === "attentionGrad";
  if (!hasHeads || most === "any" || (node.headDim <= most && node.headDim % 2 === 0)) return true;
  const { op, output, heads, kvHeads, headDim } = node;
  const limit = Number.isFinite(most) ? ` up to ${most}` : "";
  return new UnsupportedError(
    `${op} ${output}: heads of ${headDim}; the ${backend} backend computes heads of even size${limit}`,
    "Use another backend.",
    { op, shapes: { q: ["rows", heads * headDim], k: ["rows", kvHeads * headDim] } },
  );
}
