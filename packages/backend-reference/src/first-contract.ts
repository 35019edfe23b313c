// The reference behind the first contract, for those that still speak it.

import {
  type CompileOptions,
  type Graph,
  resolveWanted,
  type Step,
  type Wanted,
  type WeightSource,
} from "@polyllama/core";
import type { Device, Program } from "@polyllama/core/device";
import { BackendProgram } from "@polyllama/planner";
import type { BoundedTensor } from "./bounded.ts";
import type { Rounding } from "./bounds.ts";
import type { BoundedOutput, BoundedValue } from "./executor.ts";
import type { Perturbation } from "./perturb.ts";
import { reference } from "./reference.ts";

/** A graph in float64, one operation after the other. */
export class ReferenceProgram extends BackendProgram {
  readonly #device: Device;

  /** Made by {@link compileReference}. Disposing it disposes the device. */
  constructor(device: Device, program: Program) {
    super(device, program);
    this.#device = device;
  }

  /** Like `run`; values that no operation computes have a bound of zero. */
  async runWithBounds(step: Step, wanted: readonly Wanted[], rounding: Rounding): Promise<readonly BoundedTensor[]> {
    const outputs = wanted.map((each): BoundedOutput => ({ ...resolveWanted(this.graph, each), to: "host", rounding }));
    const values = await this.submit(step, outputs);
    return values.map((value) => {
      const { tensor, bound } = value as BoundedValue; // as such outputs give
      return { value: tensor, bound };
    });
  }

  /** Disposes the device, too. */
  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#device[Symbol.asyncDispose]();
  }
}

/** Compiles a graph for the reference. @throws {CheckpointError} */
export async function compileReference(
  graph: Graph,
  source: WeightSource,
  { perturb, onProgress, signal }: CompileOptions & { readonly perturb?: Perturbation } = {},
): Promise<ReferenceProgram> {
  const device = reference(perturb && { perturb });
  const options = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  using parameters = await device.loadParameters([graph], source, options);
  return new ReferenceProgram(device, await device.compile(graph, parameters));
}

/** The name of {@link reference} beside one that gave a backend. */
export function referenceDevice(perturb?: Perturbation): Device {
  return reference(perturb && { perturb });
}
