// Plans of a program, by mode and by what is asked of them, with what is derived from each once.

import { type Graph, RotationTable } from "@polyllama/core";
import { assignOffsets, makePlan, type Plan, type PlanRequest } from "@polyllama/planner";
import { partialWidth } from "../kernels/attention_split.ts";
import { type Mode, preferences } from "../modes.ts";
import type { LoadedWeights } from "../weights/loaded.ts";

/** A plan and what running it takes. */
export interface PreparedPlan {
  readonly key: string;
  readonly mode: Mode;
  readonly plan: Plan;
  readonly rotations: RotationTable;
  /** Words of partial attention sums for each row and part of keys. */
  readonly partialWords: number;
  readonly fillsCaches: boolean;
  /**
   * Words behind the arena's beginning, by buffer, and the words of all; for at most so many rows, and so many that are
   * selected.
   */
  arena(rows: number, selected: number): { readonly offsets: readonly number[]; readonly size: number };
}

export class Plans {
  readonly #graph: Graph;
  readonly #weights: LoadedWeights;
  readonly #plans = new Map<string, PreparedPlan>();

  constructor(graph: Graph, weights: LoadedWeights) {
    this.#graph = graph;
    this.#weights = weights;
  }

  /** @throws {PolyllamaError} `ERR_UNSUPPORTED` */
  get(mode: Mode, request: PlanRequest): PreparedPlan {
    const { all, selected, fillsCaches } = request;
    const key = JSON.stringify([mode, fillsCaches, [...all].sort(), [...selected].sort()]);
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const tensorCores = this.#weights.exponents !== undefined;
    const plan = makePlan(this.#graph, this.#weights.layout, request, preferences(mode, tensorCores));
    const prepared = prepare(key, mode, plan);
    this.#plans.set(key, prepared);
    return prepared;
  }
}

function prepare(key: string, mode: Mode, plan: Plan): PreparedPlan {
  const arenas = new Map<string, ReturnType<PreparedPlan["arena"]>>();
  let partialWords = 0;
  for (const step of plan.steps) {
    if (step.kind === "attention") partialWords = Math.max(partialWords, partialWidth(step.attention));
  }
  return {
    key,
    mode,
    plan,
    rotations: new RotationTable(plan.rotations),
    partialWords: mode === "decode" ? partialWords : 0,
    fillsCaches: plan.steps.some(({ kind }) => kind === "cache"),
    arena(rows, selected) {
      const [most, mostSelected] = [atLeast(rows), atLeast(selected)];
      const size = `${most} ${mostSelected}`;
      const known = arenas.get(size);
      if (known !== undefined) return known;
      const words = plan.buffers.map((buffer) => buffer.stride * (buffer.rows === "all" ? most : mostSelected));
      const made = assignOffsets(plan, words);
      arenas.set(size, made);
      return made;
    },
  };
}

/** The next power of two, so that there are few sizes. */
export function atLeast(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}
