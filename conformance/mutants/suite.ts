// What a mutant is run against: first the operation cases, cheap ones first, then chains and models. A device under
// test is watched, so that a fault that changes shapes, makes values infinite or throws is not taken for one that
// numbers betray.

import { forTraining, type OpName, type PerOp, type RoundingProfile, type Tensor } from "@polyllama/core";
import type { Device, OutputValue, Program } from "@polyllama/core/device";
import type { CaseResult } from "../src/case.ts";
import { chainCases } from "../src/chains.ts";
import { forwardDevice, forwardDeviceProgram } from "../src/forward.ts";
import { modelCases } from "../src/models/index.ts";
import { opCases, trainingOpCases } from "../src/ops/index.ts";
import { type OpCase, runCase } from "../src/ops/op-case.ts";

export type Stage = "op" | "model";

export interface SuiteCase {
  readonly stage: Stage;
  readonly address: string;
  /** Multiply-adds, roughly. */
  readonly cost: number;
  run(device: Device, seed: number): Promise<CaseResult>;
}

/** Operation cases, then chains and models, each from cheap to dear. @param training Whether the backend trains. */
export function suiteCases(training: boolean): readonly SuiteCase[] {
  const ops = [...opCases(), ...(training ? trainingOpCases().filter(({ slow }) => slow !== true) : [])].map(
    (opCase): SuiteCase => ({
      stage: "op",
      address: opCase.address,
      cost: opCost(opCase),
      run: (device, seed) => runCase(opCase, device, seed),
    }),
  );
  const models = [...chainCases(), ...modelCases()].map(
    ({ address, run }): SuiteCase => ({ stage: "model", address, cost: modelCost(address), run }),
  );
  const byCost = (a: SuiteCase, b: SuiteCase): number => a.cost - b.cost;
  return [...ops.sort(byCost), ...models.sort(byCost)];
}

function opCost({ op, parameters }: OpCase): number {
  return opCosts[op]((key) => Number(parameters[key] ?? 1));
}

/** By the sizes that a case has as parameters, 1 for those that it has not. */
const opCosts: PerOp<Record<OpName, (size: (key: string) => number) => number>> = {
  embedding: (size) => size("v") * size("d"),
  rmsNorm: (size) => size("n") * size("d"),
  linear: (size) => size("k") * size("m") * (size("n") + 4), // making the weights costs as much as a few rows
  rope: (size) => size("n") * size("d") * size("heads"),
  attention: (size) => size("heads") * size("d") * Math.max(16, size("past")) ** 2,
  swiglu: (size) => size("n") * size("f"),
  add: (size) => size("n") * size("d"),
  ...forTraining((size: (key: string) => number) => size("n") * size("k") * size("m")),
};

/** Chains; small models with many perturbed runs; the widest of them; single layers of the published sizes. */
function modelCost(address: string): number {
  if (address.startsWith("chain")) return 2 ** 16;
  if (address.includes("llama-2")) return 2 ** 30;
  return address.includes("k-quants") ? 2 ** 25 : 2 ** 20;
}

/** What may be assumed of a device that computes in f32, and knows nothing of this project. */
export const f32Roundings: RoundingProfile = {
  unit: 2 ** -24,
  flushesSubnormals: false,
  exp: 4,
  cache: "f32",
  sources: ["IEEE 754 binary32"],
};

/** A device whose results are checked for shape and finiteness as they come; `broken` says what was wrong first. */
export interface Watched extends Device {
  readonly broken: string | undefined;
}

export function watch(device: Device, roundings: RoundingProfile = device.roundings): Watched {
  let broken: string | undefined;
  const attempt = async <T>(action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      broken ??= error instanceof Error ? error.message : String(error);
      throw error;
    }
  };
  const watchProgram = (program: Program): Program => {
    const look = ({ value }: { readonly value: string }, given: OutputValue | undefined): void => {
      if (given?.to === "host") broken ??= defect(given.tensor, program.graph.widths.get(value)!, value);
    };
    return forwardDeviceProgram(program, {
      submit(step, signal) {
        const submission = program.submit(step, signal);
        const result = attempt(async () => {
          const values = await submission.result;
          step.outputs.forEach((output, i) => {
            look(output, values[i]);
          });
          return values;
        });
        return { ...submission, result };
      },
    });
  };
  const watched = forwardDevice(device, {
    roundings,
    loadParameters: (...given) => attempt(() => device.loadParameters(...given)),
    compile: async (...given) => watchProgram(await attempt(() => device.compile(...given))),
  });
  return {
    ...watched,
    get broken() {
      return broken;
    },
  };
}

function defect({ shape, data }: Tensor, width: number, name: string): string | undefined {
  const [rows, columns] = shape;
  if (columns !== width || data.length !== rows * columns) return `"${name}" has shape [${shape}], width ${width}`;
  const at = data.findIndex((value) => !Number.isFinite(value));
  return at < 0 ? undefined : `"${name}" is ${data[at]} in row ${Math.floor(at / columns)}, column ${at % columns}`;
}
