// Plans of a program that trains, by the values that are asked for.

import { type Graph, type OpName, RotationTable, UnsupportedError, type ValueName } from "@polyllama/core";
import { type PlacedRotation, placeRotation, rotationStride } from "../plan/rotations.ts";
import { planTraining, type TrainingPlan } from "./plan.ts";

/** Results to which kernels add another value on the way, by op. */
const adding: Readonly<Partial<Record<OpName, readonly string[]>>> = {
  linear: ["out"],
  linearInputGrad: ["out"],
  linearWeightGrad: ["out"],
  rmsNormGrad: ["x", "weight"],
  embeddingGrad: ["out"],
  logProbabilityGrad: ["x", "weight"],
};

/** A plan and what running it takes. */
export interface PreparedTraining {
  readonly plan: TrainingPlan;
  /** The tokens that it looks up. */
  readonly tokens: ValueName | undefined;
  readonly rotations: readonly PlacedRotation[];
  readonly rotationStride: number;
  readonly table: RotationTable;
}

export class TrainingPlans {
  /** The tokens that are looked up. */
  readonly tokens: ValueName | undefined;
  readonly #graph: Graph;
  readonly #plans = new Map<string, PreparedTraining>();

  /** @throws {UnsupportedError} for graphs with several inputs of tokens to look up */
  constructor(graph: Graph) {
    this.#graph = graph;
    const looked = graph.nodes.flatMap((node) =>
      node.op === "embedding" || node.op === "embeddingGrad" ? [node.tokens] : [],
    );
    const [tokens, other] = [...new Set(looked)];
    if (other !== undefined) {
      const problem = `"${tokens}" and "${other}" are both inputs of tokens to look up`;
      throw new UnsupportedError(problem, "Use a graph with one.", { op: "embedding" });
    }
    this.tokens = tokens;
  }

  get(asked: ReadonlySet<ValueName>): PreparedTraining {
    const key = JSON.stringify([...asked].sort());
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const plan = planTraining(this.#graph, asked, (op, role) => adding[op]?.includes(role) === true);
    const rotations: PlacedRotation[] = [];
    for (const { node } of plan.steps) if (node.op === "rope") placeRotation(rotations, node);
    const prepared = {
      plan,
      tokens: this.tokens,
      rotations,
      rotationStride: rotationStride(rotations),
      table: new RotationTable(rotations),
    };
    this.#plans.set(key, prepared);
    return prepared;
  }
}
