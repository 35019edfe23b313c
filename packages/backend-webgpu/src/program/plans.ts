// The plans that a program has prepared, by mode and values asked for. Some are kept, as those of a model's two modes
// are used again and again; what others took is freed.

import type { Graph, ValueName } from "@polyllama/core";
import { makePlan, type PlanRequest, type RowSet } from "@polyllama/planner";
import { type Mode, planPreferences } from "../modes.ts";
import { dropPlan } from "./bind-plan.ts";
import { type Home, type PreparedPlan, preparePlan } from "./prepared-plan.ts";

/** Plans that are kept: those of a model's two modes, and some of other values. */
const keptPlans = 8;

/** A value that a chunk gives: in all rows, or in the last ones of sequences. */
export interface Asked {
  readonly value: ValueName;
  readonly rows: RowSet;
}

export class Plans {
  readonly #graph: Graph;
  readonly #home: Home;
  readonly #rows: Readonly<Record<Mode, number>>;
  /** Least recently used first. */
  readonly #plans = new Map<string, Promise<PreparedPlan>>();

  /** @param rows Most rows of a chunk, by mode. */
  constructor(graph: Graph, home: Home, rows: Readonly<Record<Mode, number>>) {
    this.#graph = graph;
    this.#home = home;
    this.#rows = rows;
  }

  /** The plan for values and mode, bound to buffers; made once. */
  get(mode: Mode, asked: readonly Asked[], fillsCaches: boolean): Promise<PreparedPlan> {
    const computed = asked.filter(({ value }) => !this.#graph.inputs.some(({ name }) => name === value));
    const all = new Set(computed.filter(({ rows }) => rows === "all" || mode === "decode").map(({ value }) => value));
    const selected = new Set(computed.map(({ value }) => value).filter((value) => !all.has(value)));
    const key = JSON.stringify([mode, [...all].sort(), [...selected].sort(), fillsCaches]);
    const known = this.#plans.get(key);
    if (known !== undefined) {
      this.#plans.delete(key);
      this.#plans.set(key, known);
      return known;
    }
    for (const [oldest, plan] of this.#plans) {
      if (this.#plans.size < keptPlans) break;
      this.#plans.delete(oldest);
      // one that failed holds nothing
      void plan.then((prepared) => dropPlan(this.#home, prepared)).catch(() => undefined);
    }
    const made = this.#make(mode, { all, selected, fillsCaches });
    this.#plans.set(key, made);
    made.catch(() => this.#plans.delete(key));
    return made;
  }

  async #make(mode: Mode, request: PlanRequest): Promise<PreparedPlan> {
    const { gpu, layout } = this.#home;
    const plan = makePlan(this.#graph, layout, request, planPreferences(mode, gpu.family));
    return preparePlan(this.#home, plan, mode, this.#rows[mode]);
  }

  /** Frees all of them, when none is being prepared any more. No step is under way. */
  async free(): Promise<void> {
    for (const plan of await Promise.allSettled(this.#plans.values())) {
      if (plan.status === "fulfilled") dropPlan(this.#home, plan.value);
    }
    this.#plans.clear();
  }
}
