// The plans that a program has prepared, by mode and values asked for. Some are kept, as those of a model's two modes are used again
// and again; what others took is freed.

import type { Graph, ResolvedWanted } from "@polyllama/core";
import { makePlan, type Request } from "@polyllama/planner";
import { type Mode, planPreferences } from "./modes.ts";
import { type Home, type PreparedPlan, preparePlan } from "./prepared-plan.ts";

/** Plans that are kept: those of a model's two modes, and some of other values. */
const keptPlans = 8;

export class Plans {
  readonly #graph: Graph;
  readonly #home: Home;
  readonly #rows: Readonly<Record<Mode, number>>;
  readonly #onDrop: (plan: PreparedPlan) => void;
  /** Least recently used first. */
  readonly #plans = new Map<string, Promise<PreparedPlan>>();

  /** @param rows Most rows of a chunk, by mode. @param onDrop Frees what else is bound to a plan that is not kept. */
  constructor(graph: Graph, home: Home, rows: Readonly<Record<Mode, number>>, onDrop: (plan: PreparedPlan) => void) {
    this.#graph = graph;
    this.#home = home;
    this.#rows = rows;
    this.#onDrop = onDrop;
  }

  /** The plan for values and mode, bound to buffers; made once. */
  get(mode: Mode, asked: readonly ResolvedWanted[], fillsCaches: boolean): Promise<PreparedPlan> {
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
      void plan.then((prepared) => this.#drop(prepared)).catch(() => undefined); // one that failed holds nothing
    }
    const made = this.#make(mode, { all, selected, fillsCaches });
    this.#plans.set(key, made);
    made.catch(() => this.#plans.delete(key));
    return made;
  }

  async #make(mode: Mode, request: Request): Promise<PreparedPlan> {
    const { gpu, layout } = this.#home;
    const plan = makePlan(this.#graph, layout, request, planPreferences(mode, gpu.family));
    return preparePlan(this.#home, plan, mode, this.#rows[mode]);
  }

  /** Frees what is a plan's own. Steps that use it were submitted before, as runs take turns. */
  #drop(prepared: PreparedPlan): void {
    const { parameters, rotationBuffer } = prepared;
    this.#home.scratch.drop(parameters);
    if (rotationBuffer !== undefined) this.#home.scratch.drop(rotationBuffer);
    this.#onDrop(prepared);
  }

  /** Resolves when no plan is being prepared any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#plans.values());
  }
}
