// Runs steps: evaluates their graph, gives what they ask for, and updates weights.

import { type Graph, PolyllamaError, type Tensor, type ValueName } from "@polyllama/core";
import { cacheSpec, type Output, type OutputValue } from "@polyllama/core/device";
import {
  type AcceptedStep,
  hostOutput,
  hostRun,
  inputArrays,
  isHostTensor,
  type SharedParameters,
  type StepExecutor,
  type StepRun,
  type StepTensor,
} from "@polyllama/planner";
import type { Rounding } from "./bounds.ts";
import { type EvaluatedGraph, evaluate, type SequenceRows } from "./evaluate.ts";
import { ReferenceBlocks } from "./kv-blocks.ts";
import { type Matrix, row, takeRows } from "./matrix.ts";
import type { ReferenceParameters } from "./parameters.ts";
import { exactly, type Perturbation, perturbed, type Settle } from "./perturb.ts";

/** A value for the host together with how far a backend with these roundings may be from it, given exact operands. */
export type BoundedOutput = Extract<Output, { to: "host" | "device" }> & {
  readonly to: "host";
  readonly rounding: Rounding;
};

/** Such a value. */
export type BoundedValue = Extract<OutputValue, { to: "host" }> & {
  /** [rows, width], not negative; zero for values that no op computes. */
  readonly bound: Tensor;
};

/** A program's part of running its steps. */
export class ReferenceExecutor implements StepExecutor<ReferenceBlocks> {
  readonly #graph: Graph;
  readonly #parameters: SharedParameters<ReferenceParameters>;
  readonly #settle: Settle;

  constructor(graph: Graph, parameters: SharedParameters<ReferenceParameters>, perturb: Perturbation | undefined) {
    this.#graph = graph;
    this.#parameters = parameters;
    this.#settle = perturb === undefined ? exactly : perturbed(perturb);
  }

  owns(tensor: StepTensor): boolean {
    return isHostTensor(tensor, this.#parameters.owner);
  }

  accept(accepted: AcceptedStep<ReferenceBlocks>): StepRun {
    return hostRun(accepted, this.#parameters.owner, (signal) => this.#run(accepted, signal));
  }

  free(): void {}

  async #run(accepted: AcceptedStep<ReferenceBlocks>, signal: AbortSignal): Promise<readonly OutputValue[]> {
    const { step, places } = accepted;
    for (const cache of accepted.caches) {
      for (const copy of cache?.copies ?? []) cache!.pool.storage.copy(copy); // the copies are the cache's
    }
    const inputs = inputArrays(step);
    const memories = this.#memories(accepted, inputs);
    const rounding = step.outputs.find(isBounded)?.rounding;
    const updates = Object.entries(step.updates ?? {});
    const computed = await evaluate({
      graph: this.#graph,
      weights: this.#parameters.storage.loaded,
      adapters: this.#parameters.storage,
      inputs,
      sequences: memories,
      wanted: new Set([...step.outputs, ...updates.map(([, value]) => ({ value }))].map(({ value }) => value)),
      settle: this.#settle,
      rounding,
      signal,
    });
    const history = (sequence: number, end: number): readonly number[] => memories[sequence]!.history(end);
    const host = { ...accepted, owner: this.#parameters.owner, history };
    const values = step.outputs.map((output, i) => {
      const rows = places.outputRows[i]!; // one entry per output
      if (isBounded(output)) return boundedValue(computed, output.value, rows);
      const value = computed.value(output.value);
      return hostOutput(
        output,
        rows,
        { ...value, row: (n) => row(value, n), take: (rows) => takeRows(value, rows).data },
        host,
      );
    });
    this.#update(updates, computed);
    return values;
  }

  /** Where each sequence's keys and values are; rows without a cache see each other through one that is dropped. */
  #memories({ places, caches }: AcceptedStep<ReferenceBlocks>, inputs: ReturnType<typeof inputArrays>) {
    const [input] = this.#graph.inputs.filter(({ kind }) => kind === "tokens");
    const tokens = input === undefined ? undefined : (inputs[input.name] as Int32Array); // of an input of tokens
    return places.sequences.map(({ first, rows, start, adapter }, i) => {
      const cache = caches[i];
      const blocks = cache?.pool.storage ?? new ReferenceBlocks(cacheSpec(this.#graph), "f32", 1, rows);
      const table = cache?.table ?? Uint32Array.of(0);
      const length = cache?.start ?? 0;
      if (tokens !== undefined) blocks.writeTokens(table, length, tokens.subarray(first, first + rows));
      return {
        first,
        rows,
        start,
        adapter,
        memory: { length, write: blocks.write.bind(blocks, table) },
        history: (end: number) => blocks.tokens(table, cache === undefined ? end - start : end),
      } satisfies SequenceRows & { readonly history: (end: number) => readonly number[] };
    });
  }

  /** @throws {PolyllamaError} `ERR_BACKEND` where a new weight is not finite; then none is changed */
  #update(updates: readonly (readonly [string, ValueName])[], computed: EvaluatedGraph): void {
    for (const [weight, value] of updates) {
      const { data } = computed.value(value);
      const { values } = this.#parameters.storage.loaded.get(weight)!; // the frame has seen that it is there
      if (data.length !== values.length) {
        throw new PolyllamaError(
          "ERR_GRAPH",
          `"${value}" has ${data.length} elements; the weight "${weight}" that it is to replace has ${values.length}.`,
        );
      }
      if (!data.every((number) => Number.isFinite(number))) {
        throw new PolyllamaError(
          "ERR_BACKEND",
          `The new values of "${weight}" are not all finite; nothing was updated.`,
        );
      }
    }
    for (const [weight, value] of updates) this.#parameters.storage.update(weight, computed.value(value));
    if (updates.length > 0) this.#parameters.version++;
  }
}

function isBounded(output: Output): output is BoundedOutput {
  return output.to === "host" && "rounding" in output;
}

function boundedValue(computed: EvaluatedGraph, name: ValueName, rows: readonly number[]): BoundedValue {
  const [value, bound] = [computed.value(name), computed.bound(name)].map((each) => tensor(takeRows(each, rows)));
  return { to: "host", tensor: value!, bound: bound! }; // two were mapped
}

function tensor({ rows, width, data }: Matrix): Tensor {
  return { shape: [rows, width], data };
}
