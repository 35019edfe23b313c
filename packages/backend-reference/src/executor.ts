// Runs steps: evaluates their graph in float64, gives what they ask for, and updates weights. Every node knows how far
// a backend that rounds as declared may be from its exact output, given its exact inputs.

import { type Graph, type Node, PolyllamaError, results, type Tensor, type ValueName } from "@polyllama/core";
import type { HostOutput, Output, OutputValue, SequencePlace } from "@polyllama/core/device";
import {
  type AcceptedStep,
  type Adapter,
  computedRows,
  computeStep,
  type HostBlocks,
  type HostOperands,
  hostRun,
  isHostTensor,
  isTrainingGraph,
  outputValue,
  type SharedParameters,
  type StepExecutor,
  type StepRun,
  type StepTensor,
  takeRows,
} from "@polyllama/planner";
import type { Rounding } from "./bounds.ts";
import { type Matrix, matrix } from "./matrix.ts";
import type { Operands } from "./ops/evaluator.ts";
import { evaluate } from "./ops/index.ts";
import type { ReferenceParameters } from "./parameters.ts";
import { exactly, type Perturbation, perturbed, type Settle } from "./perturb.ts";

/** A value for the host together with how far a backend with these roundings may be from it, given exact operands. */
export type BoundedOutput = HostOutput & { readonly rounding: Rounding };

/** Such a value. */
export type BoundedValue = Extract<OutputValue, { to: "host" }> & {
  /** [rows, width], not negative; zero for values that no op computes. */
  readonly bound: Tensor;
};

/** The memory of a pool. */
export type ReferenceBlocks = HostBlocks<Float64Array>;

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
    const { adapters } = this.#parameters.storage;
    return hostRun(accepted, this.#parameters.owner, (signal) => this.#run(accepted, adapters, signal));
  }

  free(): void {}

  async #run(
    accepted: AcceptedStep<ReferenceBlocks>,
    adapters: ReadonlyMap<string, Adapter>,
    signal: AbortSignal,
  ): Promise<readonly OutputValue[]> {
    const { step, places } = accepted;
    const rounding = step.outputs.find(isBounded)?.rounding;
    const wanted = new Set(step.outputs.map(({ value }) => value));
    const bounds = new Map<ValueName, Matrix>();
    const updates = Object.entries(step.updates ?? {});
    const compute = (node: Node, operands: HostOperands<Float64Array>): readonly Float64Array[] => {
      const names = results(node);
      return evaluate(node, this.#operands(operands, places.sequences, adapters)).map((evaluated, i) => {
        const name = names[i]!; // one for each
        if (rounding && wanted.has(name)) bounds.set(name, evaluated.bound(rounding));
        return this.#settle(evaluated).data;
      });
    };
    const computation = { arrays: Float64Array, compute, wanted: updates.map(([, value]) => value) };
    const { value, history } = await computeStep(this.#graph, accepted, computation, signal);
    const host = { ...accepted, owner: this.#parameters.owner, history };
    const values = step.outputs.map((output, i) => {
      const rows = places.outputRows[i]!; // one entry per output
      const exact = value(output.value);
      if (!isBounded(output)) return outputValue(output, rows, computedRows(Float64Array, exact), host);
      const bound = bounds.get(output.value) ?? matrix(exact.rows, exact.width);
      return { to: "host", tensor: tensor(exact, rows), bound: tensor(bound, rows) } satisfies BoundedValue;
    });
    this.#update(updates.map(([weight, name]) => ({ weight, name, value: value(name) })));
    return values;
  }

  /** Weights, and what adapters add to them, beside values. */
  #operands(
    operands: HostOperands<Float64Array>,
    sequences: readonly SequencePlace[],
    adapters: ReadonlyMap<string, Adapter>,
  ): Operands {
    const { storage } = this.#parameters;
    /** By sequence with an adapter: its rows of a matrix. */
    const adapted = sequences.flatMap(({ first, rows, adapter: called }) => {
      const adapter = called === undefined ? undefined : adapters.get(called);
      const part = ({ width, data }: Matrix): Matrix => {
        return { rows, width, data: data.subarray(first * width, (first + rows) * width) };
      };
      return adapter === undefined ? [] : [{ adapter, part }];
    });
    return {
      ...operands,
      trains: isTrainingGraph(this.#graph),
      weight: (name) => storage.loaded.get(name)!, // the frame saw that it is there
      adapt(name, x, y) {
        for (const { adapter, part } of adapted) storage.adapt(adapter, name, part(x), part(y));
        return y;
      },
      adaptBound(name, x, bound, rounding) {
        for (const { adapter, part } of adapted) storage.adaptBound(adapter, name, part(x), part(bound), rounding);
        return bound;
      },
    };
  }

  /** @throws {PolyllamaError} `ERR_BACKEND` where a new weight is not finite; then none is changed */
  #update(updates: readonly { readonly weight: string; readonly name: ValueName; readonly value: Matrix }[]): void {
    const { storage } = this.#parameters;
    for (const {
      weight,
      name,
      value: { data },
    } of updates) {
      const { values } = storage.loaded.get(weight)!; // the frame has seen that it is there
      if (data.length !== values.length) {
        throw new PolyllamaError(
          "ERR_GRAPH",
          `"${name}" has ${data.length} elements; the weight "${weight}" that it is to replace has ${values.length}.`,
        );
      }
      if (!data.every((number) => Number.isFinite(number))) {
        throw new PolyllamaError(
          "ERR_BACKEND",
          `The new values of "${weight}" are not all finite; nothing was updated.`,
        );
      }
    }
    for (const { weight, value } of updates) storage.update(weight, value);
    if (updates.length > 0) this.#parameters.version++;
  }
}

function isBounded(output: Output): output is BoundedOutput {
  return output.to === "host" && "rounding" in output;
}

function tensor(value: Matrix, rows: readonly number[]): Tensor {
  return { shape: [rows.length, value.width], data: takeRows(Float64Array, value, rows) };
}
