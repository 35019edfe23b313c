// Runs and steps as the library reads them.

import { type Struct, struct } from "@polyllama/planner";
import { row, run, type StepFields, type StepName, sequence, stepBytes, steps } from "./structs.ts";

const runStruct: Struct<typeof run> = struct(run);
const rowStruct = struct(row);
const sequenceStruct: Struct<typeof sequence> = struct(sequence);

/** A step by its name. */
export type EncodedStep = { readonly [Name in StepName]: readonly [Name, StepFields<Name>] }[StepName];

const names = Object.keys(steps) as StepName[]; // the record's own keys
const stepStructs = new Map(names.map((name) => [name, struct(steps[name]) as Struct]));

export const runBytes: number = runStruct.size;
export const rowBytes: number = rowStruct.size;
export const sequenceBytes: number = sequenceStruct.size;

/** Writes a run; what it does not name is nothing. */
export function encodeRun(view: DataView, at: number, given: Partial<Parameters<typeof runStruct.write>[2]>): void {
  const none = {
    steps: 0n,
    rows: 0n,
    sequences: 0n,
    rotations: 0n,
    selection: 0n,
    partials: 0n,
    stepCount: 0,
    rowCount: 0,
    sequenceCount: 0,
    rotationStride: 0,
  };
  runStruct.write(view, at, { ...none, ...given });
}

/** Writes steps behind one another. */
export function encodeSteps(view: DataView, at: number, list: readonly EncodedStep[]): void {
  for (const [i, [name, fields]] of list.entries()) {
    const values = { ...fields, kind: names.indexOf(name), unused: 0 };
    const declared = stepStructs.get(name)!; // each name has one
    declared.write(view, at + stepBytes * i, values as never); // the tuple's type says that they are its fields
  }
}

export function encodeRow(view: DataView, at: number, token: number, sequenceIndex: number, position: number): void {
  rowStruct.write(view, at, { token, sequence: sequenceIndex, position, unused: 0 });
}

export function encodeSequence(
  view: DataView,
  at: number,
  given: Omit<Parameters<typeof sequenceStruct.write>[2], "unused">,
): void {
  sequenceStruct.write(view, at, { ...given, unused: 0 });
}
