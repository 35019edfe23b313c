// The adapters of parameters on a device, and the programs that switch between them. One change happens at a time: the
// stacks are loaded anew, every program prepares its graph with them, and all of them go over to it at once. What was
// there before is freed when the last step that uses it has ended.

import {
  adapterStackGraph,
  type Graph,
  type WeightInfo,
  type WeightName,
  type WeightSource,
  withAdapterStacks,
} from "@polyllama/core";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { StepExecutor } from "../frame/program-frame.ts";
import type { Adapter, ReadValues } from "./adapter.ts";
import { type AdapterStack, stackAdapters } from "./stack.ts";
import { AdaptedExecutor, type SwitchingExecutor } from "./switching-executor.ts";

/** Stacks on a device. */
export interface LoadedStacks<Weights> {
  /** What serves graphs that have them beside the weights that they change. */
  readonly weights: Weights;
  /** Their own memory. */
  readonly bytes: number;
  /** Frees that. */
  free(): void | Promise<void>;
}

/** What a backend gives where adapters are switched for it. */
export interface AdapterParts<Weights> {
  /** The values of a weight [rows, columns], as f32. */
  readonly readValues: ReadValues;
  /**
   * Loads the stacks of adapters, so that programs find them as they find the weights that are there.
   *
   * @param graphs Their linears.
   */
  load(
    weights: Weights,
    graphs: readonly Graph[],
    source: WeightSource,
    signal: AbortSignal,
  ): Promise<LoadedStacks<Weights>>;
}

/** Prepares a graph with the stacks, on the weights that have them. */
export type MakeAdapted<Weights, Pool extends PoolStorage> = (
  graph: Graph,
  weights: Weights,
  signal: AbortSignal,
) => Promise<StepExecutor<Pool>>;

interface SwitchingProgram<Weights, Pool extends PoolStorage> {
  readonly graph: Graph;
  readonly executor: SwitchingExecutor<Pool>;
  readonly make: MakeAdapted<Weights, Pool>;
}

export class SwitchedAdapters<Weights, Pool extends PoolStorage> {
  readonly #graphs: readonly Graph[];
  readonly #linears: ReadonlyMap<WeightName, WeightInfo>;
  readonly #load: (
    graphs: readonly Graph[],
    source: WeightSource,
    signal: AbortSignal,
  ) => Promise<LoadedStacks<Weights>>;
  readonly #programs = new Set<SwitchingProgram<Weights, Pool>>();
  #adapters: ReadonlyMap<string, Adapter> = new Map();
  /** Names of those that the next change removes, whoever asked for it: several at once are one change. */
  readonly #leaving = new Set<string>();
  #stacks: Stacks<Weights> | undefined;
  #changes: Promise<unknown> = Promise.resolve();

  /**
   * @param graphs Those that the weights were loaded for.
   * @param linears The matrices that their linears multiply with.
   */
  constructor(
    graphs: readonly Graph[],
    linears: ReadonlyMap<WeightName, WeightInfo>,
    load: (graphs: readonly Graph[], source: WeightSource, signal: AbortSignal) => Promise<LoadedStacks<Weights>>,
  ) {
    this.#graphs = graphs;
    this.#linears = linears;
    this.#load = load;
  }

  get bytes(): number {
    return this.#stacks?.loaded.bytes ?? 0;
  }

  /** Adds an adapter, or removes it where none is given. When it resolves all programs have done so. */
  set(name: string, adapter: Adapter | undefined, signal: AbortSignal): Promise<void> {
    if (adapter === undefined) this.#leaving.add(name);
    return this.#inTurn(async () => {
      if (adapter === undefined && !this.#leaving.has(name)) return;
      signal.throwIfAborted();
      const leaving = [...this.#leaving];
      const next = new Map([...this.#adapters].filter(([each]) => !leaving.includes(each)));
      if (adapter !== undefined) next.set(name, adapter);
      const stacks = next.size === 0 ? undefined : await this.#stack(next, signal);
      const made: (readonly [SwitchingProgram<Weights, Pool>, AdaptedExecutor<Pool> | undefined])[] = [];
      try {
        for (const program of [...this.#programs]) made.push([program, await this.#adapted(program, stacks, signal)]);
      } catch (error) {
        for (const [, adapted] of made) await adapted?.free();
        await stacks?.release();
        throw error;
      }
      for (const [program, adapted] of made) program.executor.swap(adapted);
      const last = this.#stacks;
      [this.#adapters, this.#stacks] = [next, stacks];
      for (const each of leaving) this.#leaving.delete(each);
      await last?.release();
    });
  }

  /** A program begins; it has the adapters that there are when this resolves. */
  async serve(program: SwitchingProgram<Weights, Pool>, signal: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      program.executor.swap(await this.#adapted(program, this.#stacks, signal));
      this.#programs.add(program);
    });
  }

  /** A program ends. */
  leave(executor: SwitchingExecutor<Pool>): void {
    for (const program of this.#programs) if (program.executor === executor) this.#programs.delete(program);
  }

  /** The weights are going to be freed; no program is left. */
  free(): void | Promise<void> {
    const stacks = this.#stacks;
    this.#stacks = undefined;
    return stacks?.release();
  }

  async #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const turn = this.#changes.then(action);
    this.#changes = turn.catch(() => undefined); // whoever asked for it gets the rejection
    return turn;
  }

  async #stack(adapters: ReadonlyMap<string, Adapter>, signal: AbortSignal): Promise<Stacks<Weights>> {
    const stack = stackAdapters(adapters, this.#linears);
    const graphs = this.#graphs.flatMap((graph) => {
      const adapted = withAdapterStacks(graph, stack.targets, stack.columns);
      return adapted === undefined ? [] : [adapterStackGraph(adapted, stack.targets)];
    });
    return new Stacks(stack, await this.#load(graphs, stack.source, signal));
  }

  async #adapted(
    { graph, make }: SwitchingProgram<Weights, Pool>,
    stacks: Stacks<Weights> | undefined,
    signal: AbortSignal,
  ): Promise<AdaptedExecutor<Pool> | undefined> {
    const adapted = stacks && withAdapterStacks(graph, stacks.stack.targets, stacks.stack.columns);
    if (adapted === undefined || stacks === undefined) return undefined;
    const executor = await make(adapted, stacks.loaded.weights, signal);
    stacks.retain();
    return new AdaptedExecutor(executor, stacks.stack, () => stacks.release());
  }
}

/** Stacks in memory, until nobody uses them. */
class Stacks<Weights> {
  readonly stack: AdapterStack;
  readonly loaded: LoadedStacks<Weights>;
  #users = 1;

  constructor(stack: AdapterStack, loaded: LoadedStacks<Weights>) {
    this.stack = stack;
    this.loaded = loaded;
  }

  retain(): void {
    this.#users++;
  }

  async release(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await this.loaded.free();
  }
}
