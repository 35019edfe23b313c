// Plans of a program, by what is asked of them, with what is derived from each once.

import { type Graph, RotationTable } from "@polyllama/core";
import { assignOffsets, makePlan, type Plan, type PlanRequest } from "@polyllama/planner";
import { type Activations, planPreferences } from "../modes.ts";
import type { LoadedWeights } from "../weights/loaded.ts";

/** A plan and what running it takes. */
export interface PreparedPlan {
  readonly key: string;
  readonly plan: Plan;
  readonly rotations: RotationTable;
  readonly fillsCaches: boolean;
  /** Words before each buffer, and the words of all, for at most so many rows, and so many that are selected. */
  arena(rows: number, selected: number): { readonly offsets: readonly number[]; readonly size: number };
}

export class Plans {
  readonly #graph: Graph;
  readonly #weights: LoadedWeights;
  readonly #activations: Activations;
  readonly #plans = new Map<string, PreparedPlan>();

  constructor(graph: Graph, weights: LoadedWeights, activations: Activations) {
    this.#graph = graph;
    this.#weights = weights;
    this.#activations = activations;
  }

  /** @throws {PolyllamaError} `ERR_UNSUPPORTED` */
  get(request: PlanRequest): PreparedPlan {
    const { all, selected, fillsCaches } = request;
    const key = JSON.stringify([fillsCaches, [...all].sort(), [...selected].sort()]);
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const plan = makePlan(this.#graph, this.#weights.layout, request, planPreferences(this.#activations));
    const prepared = prepare(key, plan);
    this.#plans.set(key, prepared);
    return prepared;
  }
}

function prepare(key: string, plan: Plan): PreparedPlan {
  const arenas = new Map<string, ReturnType<PreparedPlan["arena"]>>();
  return {
    key,
    plan,
    rotations: new RotationTable(plan.rotations),
    fillsCaches: plan.steps.some(({ kind }) => kind === "cache"),
    arena(rows, selected) {
      const size = `${atLeast(rows)} ${atLeast(selected)}`;
      const known = arenas.get(size);
      if (known !== undefined) return known;
      const made = arenaOf(plan, rows, selected);
      arenas.set(size, made);
      return made;
    },
  };
}

/** {@link PreparedPlan.arena} of a plan. */
export function arenaOf(plan: Plan, rows: number, selected: number): ReturnType<PreparedPlan["arena"]> {
  const most = { all: atLeast(rows), selected: atLeast(selected) };
  return assignOffsets(
    plan,
    plan.buffers.map((buffer) => buffer.stride * most[buffer.rows]),
  );
}

/** The next power of two, so that there are few sizes. */
function atLeast(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}
