// The reference behind the first contract, and its programs that also say how far others may be from each value.

import {
  type CompileOptions,
  checkOptions,
  type Graph,
  type OptionSchema,
  option,
  resolveWanted,
  type Step,
  type Tensor,
  type Wanted,
  type WeightSource,
} from "@polyllama/core";
import type { Device, DeviceBackend, Program } from "@polyllama/core/device";
import { asBackend, BackendProgram } from "@polyllama/planner";
import type { Rounding } from "./bounds.ts";
import { referenceDevice } from "./device.ts";
import type { BoundedOutput, BoundedValue } from "./executor.ts";
import type { Perturbation } from "./perturb.ts";

/** Options of `reference()`. */
export interface ReferenceOptions {
  /** Move every operation's output at random within the bound of these roundings. */
  readonly perturb?: Perturbation;
}

const optionTypes: OptionSchema<ReferenceOptions> = { perturb: option.anyObject };

/**
 * The float64 backend. Runs everywhere, about a thousand times slower than the others.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for unknown options.
 */
export function reference(options: ReferenceOptions = {}): DeviceBackend {
  checkOptions(options, optionTypes, "reference()");
  return asBackend(referenceDevice(options.perturb));
}

/** An exact value, and how far a backend may be from each element when the operation's inputs are exact. */
export interface BoundedTensor {
  /** [rows, width] */
  readonly value: Tensor;
  /** [rows, width], not negative. */
  readonly bound: Tensor;
}

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

/**
 * Compiles a graph for the reference itself rather than for the contract: the program can also say how far another backend
 * may be from each value.
 *
 * @throws {CheckpointError}
 */
export async function compileReference(
  graph: Graph,
  source: WeightSource,
  { perturb, wanted = [], onProgress, signal }: CompileOptions & ReferenceOptions = {},
): Promise<ReferenceProgram> {
  for (const each of wanted) resolveWanted(graph, each);
  const device = referenceDevice(perturb);
  const options = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  using parameters = await device.loadParameters([graph], source, options);
  return new ReferenceProgram(device, await device.compile(graph, parameters));
}
