// Runs a program's steps on the host, by a function that computes a node.

import type { Graph, RealArray } from "@polyllama/core";
import type { AcceptedStep, StepExecutor, StepRun } from "../frame/program-frame.ts";
import type { StepTensor } from "../frame/step-tensor.ts";
import type { HostBlocks } from "./blocks.ts";
import { computeStep, type HostComputation } from "./evaluate.ts";
import { outputValue, type StepContext } from "./outputs.ts";
import { computedRows } from "./rows.ts";
import { hostRun, isHostTensor } from "./tensors.ts";

/** A program's part of running its steps. */
export class HostExecutor<Reals extends RealArray> implements StepExecutor<HostBlocks<Reals>> {
  readonly #graph: Graph;
  readonly #owner: object;
  readonly #computation: HostComputation<Reals>;

  /** @param owner The device. */
  constructor(graph: Graph, owner: object, computation: HostComputation<Reals>) {
    this.#graph = graph;
    this.#owner = owner;
    this.#computation = computation;
  }

  owns(tensor: StepTensor): boolean {
    return isHostTensor(tensor, this.#owner);
  }

  accept(accepted: AcceptedStep<HostBlocks<Reals>>): StepRun {
    return hostRun(accepted, this.#owner, async (signal) => {
      const computed = await computeStep(this.#graph, accepted, this.#computation, signal);
      const host: StepContext = { ...accepted, owner: this.#owner, history: computed.history };
      return accepted.step.outputs.map((output, i) => {
        const rows = accepted.places.outputRows[i]!; // one entry per output
        return outputValue(output, rows, computedRows(this.#computation.arrays, computed.value(output.value)), host);
      });
    });
  }

  free(): void {}
}
