// Tables with an entry for each operation, each for nodes of its own: an operation that a table forgets does not compile.

import type { Node, OpName } from "@polyllama/core";

export type NodeOf<Op extends OpName> = Extract<Node, { readonly op: Op }>;

/** What is done with a node, by its operation. */
export type PerOp<Arguments extends readonly unknown[], Result> = {
  readonly [Op in OpName]: (node: NodeOf<Op>, ...rest: Arguments) => Result;
};

/** The table's result for a node. */
export function forNode<Arguments extends readonly unknown[], Result>(
  table: PerOp<Arguments, Result>,
  node: Node,
  ...rest: Arguments
): Result {
  const entry = table[node.op] as (node: Node, ...rest: Arguments) => Result; // the entry of the node's own operation
  return entry(node, ...rest);
}
