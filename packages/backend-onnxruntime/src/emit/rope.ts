// rope, where attention does not do it itself. The tables of sines and cosines come from the host, which computes them in
// float64 and rounds once.

import type { AttentionNode, Graph, Node, RopeNode, ValueName } from "@polyllama/core";
import { attentions, type Need } from "../needs.ts";
import { type Emission, emitValue } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** Tables [positions, d / 2] of one rotation. */
export interface RotationTables {
  readonly cos: TensorName;
  readonly sin: TensorName;
}

/** x [1, rows, H d], positions [1, rows] -> [1, rows, H d] */
export function emitRope(node: RopeNode, e: Emission): void {
  if (e.fusedRopes.has(node.output)) return;
  const { tensor, input } = e.values;
  emitValue(e, node.output, (name) => {
    const x = tensor(node.x, "all");
    const positions = input("run positions", { kind: "positions" }, () =>
      e.model.input("run positions", "i64", [1, "rows"]),
    );
    const { cos, sin } = rotationTables(e, node);
    e.model.node("RotaryEmbedding", [x, positions, cos, sin], [name], { interleaved: { int: 1 } });
  });
}

/** Tables that all rotations alike share. */
export function rotationTables({ model, values }: Emission, rotation: RopeNode): RotationTables {
  const { headDim } = rotation;
  const key = rotationKey(rotation);
  const table = (kind: "cos" | "sin"): TensorName => {
    const name = `${kind} ${key}`;
    return values.input(name, { kind, rotation }, () => model.input(name, "f32", [`positions ${key}`, headDim / 2]));
  };
  return { cos: table("cos"), sin: table("sin") };
}

/** Rotations that attention takes over: those of its q and k, alike, read by it alone and not asked for. */
export function findFusedRopes(
  graph: Graph,
  needs: ReadonlyMap<ValueName, Need>,
  consumers: ReadonlyMap<ValueName, readonly Node[]>,
  wanted: ReadonlySet<ValueName>,
): ReadonlyMap<ValueName, RopeNode> {
  const ropes = new Map<ValueName, RopeNode>();
  for (const node of graph.nodes) if (node.op === "rope") ropes.set(node.output, node);
  const isFree = ({ output }: RopeNode, attention: AttentionNode): boolean =>
    !wanted.has(output) &&
    consumers.get(output)?.every((next) => next === attention) === true &&
    attention.v !== output;
  const fused = new Map<ValueName, RopeNode>();
  for (const node of attentions(graph)) {
    const [q, k] = [ropes.get(node.q), ropes.get(node.k)];
    if (!needs.has(node.output) || q === undefined || k === undefined || !rotatesInAttention(node.headDim)) continue;
    const alike = q.headDim === node.headDim && rotationKey(q) === rotationKey(k);
    if (alike && isFree(q, node) && isFree(k, node)) for (const rope of [q, k]) fused.set(rope.output, rope);
  }
  return fused;
}

/** Whether attention can rotate queries and keys by itself. */
function rotatesInAttention(headDim: number): boolean {
  return headDim % 16 === 0;
}

function rotationKey({ headDim, theta, scaling }: RopeNode): string {
  return JSON.stringify([headDim, theta, scaling]);
}
