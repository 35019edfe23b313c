// A program whose steps may name adapters. Steps that name none run as if there were no adapters; the others run by the
// graph with the stacks of all adapters, which tells rows apart by an input of gates. When adapters come or go, another
// executor takes the place of that one, which is freed when the last step that it accepted has ended.

import { adapterGates, openGate, type ValueName } from "@polyllama/core";
import type { HostArray, SequencePlace } from "@polyllama/core/device";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { AcceptedStep, StepExecutor, StepRun } from "../frame/program-frame.ts";
import type { StepTensor } from "../frame/step-tensor.ts";
import { UnderWay } from "../frame/under-way.ts";
import type { AdapterStack } from "./stack.ts";

/** What runs the steps that name adapters of a stack. */
export class AdaptedExecutor<Pool extends PoolStorage> {
  readonly #executor: StepExecutor<Pool>;
  readonly #stack: Pick<AdapterStack, "columns" | "ranges">;
  readonly #release: () => Promise<void>;
  #users = 0;
  #freed: (() => void) | undefined;

  /** @param release Called when it is free: it uses the stack's memory no more. */
  constructor(
    executor: StepExecutor<Pool>,
    stack: Pick<AdapterStack, "columns" | "ranges">,
    release: () => Promise<void>,
  ) {
    this.#executor = executor;
    this.#stack = stack;
    this.#release = release;
  }

  owns(tensor: StepTensor): boolean {
    return this.#executor.owns(tensor);
  }

  accept(accepted: AcceptedStep<Pool>): StepRun {
    const { step, places } = accepted;
    const gates = gatesOf(places.sequences, places.rows, this.#stack);
    const inputs: Readonly<Record<ValueName, (typeof step.inputs)[string] | HostArray>> = {
      ...step.inputs,
      [adapterGates]: gates,
    };
    const run = this.#executor.accept({ ...accepted, step: { ...step, inputs } });
    this.#users++;
    return {
      ...(run.tokens && { tokens: run.tokens }),
      begin: (signal) => run.begin(signal),
      end: () => {
        run.end?.();
        this.#users--;
        if (this.#users === 0) this.#freed?.();
      },
    };
  }

  /** Takes no more steps, and is freed when those that it accepted have ended. */
  async free(): Promise<void> {
    if (this.#users > 0) {
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
      });
    }
    await this.#executor.free();
    await this.#release();
  }
}

/** [N, R]: open in the columns of the adapter of each row's sequence. */
function gatesOf(
  sequences: readonly SequencePlace[],
  rows: number,
  { columns, ranges }: Pick<AdapterStack, "columns" | "ranges">,
): Float32Array {
  const gates = new Float32Array(rows * columns);
  for (const { first, rows: count, adapter } of sequences) {
    if (adapter === undefined) continue;
    const range = ranges.get(adapter)!; // the frame saw that there is such an adapter
    for (let n = first; n < first + count; n++) {
      const start = n * columns + range.first;
      gates.fill(openGate, start, start + range.count);
    }
  }
  return gates;
}

export class SwitchingExecutor<Pool extends PoolStorage> implements StepExecutor<Pool> {
  readonly #plain: StepExecutor<Pool>;
  readonly #onFree: () => void;
  readonly #retiring = new UnderWay();
  #adapted: AdaptedExecutor<Pool> | undefined;
  #isFree = false;

  /** @param onFree Called when the program ends: no other stacks are of use to it. */
  constructor(plain: StepExecutor<Pool>, onFree: () => void) {
    this.#plain = plain;
    this.#onFree = onFree;
  }

  /** Steps are accepted by the given one from now on; undefined where adapters change nothing of this graph. */
  swap(adapted: AdaptedExecutor<Pool> | undefined): void {
    const last = this.#adapted;
    this.#adapted = adapted;
    if (last !== undefined) this.#retiring.add(last.free());
    if (!this.#isFree) return;
    this.#adapted = undefined;
    if (adapted !== undefined) this.#retiring.add(adapted.free());
  }

  owns(tensor: StepTensor): boolean {
    return this.#plain.owns(tensor) || this.#adapted?.owns(tensor) === true;
  }

  accept(accepted: AcceptedStep<Pool>): StepRun {
    const isAdapted = accepted.places.sequences.some(({ adapter }) => adapter !== undefined);
    return ((isAdapted && this.#adapted) || this.#plain).accept(accepted);
  }

  async free(): Promise<void> {
    this.#isFree = true;
    this.#onFree();
    this.swap(undefined);
    await this.#retiring.settled();
    await this.#plain.free();
  }
}
