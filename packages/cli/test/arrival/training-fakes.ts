// The training package as the commands use it, without its work.

import type { PackedSequence } from "@polyllama/training";
import { record } from "./record.ts";

/** What the commands give to a run, of which the fake reads this much. */
interface Given {
  readonly data: { batches(position: undefined): Iterable<{ readonly batch: Parts }> };
  readonly validation?: { readonly batches: readonly object[]; readonly every: number };
  readonly samples?: { readonly every: number; make(model: object): Promise<readonly object[]> };
  readonly model: object;
  readonly device: object;
}

type Parts = readonly (readonly PackedSequence[])[];

const shapeOf = (batch: Parts): string => batch.map(({ length }) => length).join(" ");
const rowsOf = (batch: Parts): number => batch.flat().reduce((sum, { tokens }) => sum + tokens.length, 0);
const countedIn = (batch: Parts): number =>
  batch.flat().flatMap(({ targets }) => [...targets].filter((id) => id >= 0)).length;

/** `@polyllama/training/node`, in its place. */
export const runsModule: object = {
  logPath: (folder: string) => `${folder}/log.jsonl`,
  reportPath: (folder: string) => `${folder}/report.html`,
  async runTraining({ data, validation, samples, model, device: _, ...given }: Given) {
    const [first] = data.batches(undefined);
    const batch = first?.batch ?? [];
    record("run", { ...given, batch: shapeOf(batch), counted: countedIn(batch) });
    if (validation !== undefined) record("validation", { batches: validation.batches.length, every: validation.every });
    if (samples !== undefined) record("samples", { every: samples.every, made: await samples.make(model) });
    return { ended: "done", step: 1, checkpoint: "checkpoint" };
  },
  writeGradients: async (path: string, _: object, given: object) => record("writeGradients", { path, ...given }),
};

/** What of `@polyllama/training` computes. */
export const computingModule: object = {
  async batchGradients(_: object, __: object, ___: object, batch: Parts) {
    record("gradients", { rows: rowsOf(batch) });
    return { loss: 1.5, gradients: new Map() };
  },
};
