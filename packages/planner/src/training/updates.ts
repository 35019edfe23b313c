// What becomes of weights at the end of a step: AdamW's results are written over its own parameters, other values are
// put in the place of weights.

import {
  type Graph,
  isTraining,
  type Node,
  PolyllamaError,
  resultName,
  type ValueName,
  type WeightName,
} from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import type { ParameterStorage } from "../frame/shared-parameters.ts";

/** Whether a graph is one of training: its steps are not cut, as gradients are sums over all their rows. */
export function isTrainingGraph({ inputs, nodes }: Graph): boolean {
  return nodes.some(isTraining) || inputs.some(({ kind }) => kind === "fixed");
}

/** Weights that an optimizer of these graphs gives new values. */
export function optimizedWeights(graphs: readonly Graph[]): ReadonlySet<WeightName> {
  return new Set(graphs.flatMap(({ nodes }) => nodes.flatMap((node) => (node.op === "adamw" ? [node.weight] : []))));
}

/** Whether all that a node computes replaces its own parameters, and nobody asks for it beside that. */
export function isInPlace(
  node: Node,
  updates: Readonly<Record<WeightName, ValueName>>,
  asked: ReadonlySet<ValueName>,
): boolean {
  if (node.op !== "adamw") return false;
  return (["weight", "firstMoment", "secondMoment"] as const).every((role) => {
    const name = resultName(node.output, role);
    return updates[node[role]] === name && !asked.has(name);
  });
}

/** A weight and the values that it is to have. */
export interface Replaced {
  readonly weight: WeightName;
  readonly name: ValueName;
  readonly data: HostArray;
}

/**
 * @param notFinite Whether the gradients of updates in place, or their settings, are not.
 * @throws {PolyllamaError} `ERR_BACKEND` where something is not finite, `ERR_GRAPH` where it is not as large as its weight
 */
export function checkUpdates(
  names: readonly WeightName[],
  replaced: readonly Replaced[],
  notFinite: boolean,
  { weights }: Pick<ParameterStorage, "weights">,
): void {
  for (const { weight, name, data } of replaced) {
    const { shape } = weights.get(weight)!; // the frame has seen that it is there
    const size = shape.reduce((product, dim) => product * dim, 1);
    if (data.length !== size) {
      const problem = `"${name}" has ${data.length} elements; the weight "${weight}" that it is to replace has ${size}.`;
      throw new PolyllamaError("ERR_GRAPH", problem);
    }
  }
  const found = replaced.find(({ data }) => !data.every((value) => Number.isFinite(value)));
  if (found === undefined && !notFinite) return;
  const what = found === undefined ? `"${names[0]}" and others` : `"${found.weight}"`;
  throw new PolyllamaError("ERR_BACKEND", `The new values of ${what} are not all finite; nothing was updated.`);
}
