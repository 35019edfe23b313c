// What emitters of training know beside their step, and the step's operands and results as kernels bind them.

import type { Node } from "@polyllama/core";
import type { PlacedRotation, TrainingBuffer, TrainingStep } from "@polyllama/planner";
import type { Gpu } from "../../gpu.ts";
import type { LoadedWeights } from "../../weights/loaded.ts";
import type { Command, View } from "../commands.ts";
import { strideOf } from "../layout.ts";

export interface TrainingEmission {
  /** N */
  readonly rows: number;
  readonly gpu: Pick<Gpu, "family" | "features" | "limits">;
  readonly weights: LoadedWeights;
  /** Of each row, the first row of its sequence and the row behind its last. */
  readonly bounds: View;
  /** Cosines and sines of each row. */
  readonly rotations: View;
  readonly rotationStride: number;
  rotation(node: Extract<Node, { op: "rope" }>): PlacedRotation;
  /** Where a value is. */
  view(buffer: TrainingBuffer): View;
  /** Memory of use within one step of the plan alone. */
  scratch(words: number): View;
  /** Whether the new values of weights are written over them; otherwise they are values like others. */
  inPlace(node: Node): boolean;
}

export type Emitted = readonly Command[];

/** A value as kernels bind it. */
export interface Bound {
  readonly view: View;
  /** Words from row to row. */
  readonly stride: number;
  readonly width: number;
}

function boundOf(buffer: TrainingBuffer, e: TrainingEmission): Bound {
  return { view: e.view(buffer), stride: strideOf(buffer), width: buffer.width };
}

/** By role: what a step reads, makes and adds. */
export interface StepPlaces {
  read(role: string): Bound;
  /** Undefined where nobody reads it. */
  made(role: string): Bound | undefined;
  /** Undefined where nothing is added. */
  added(role: string): Bound | undefined;
}

export function placesOf({ operands, results, residuals }: TrainingStep, e: TrainingEmission): StepPlaces {
  const place = (from: Readonly<Record<string, TrainingBuffer>>) => (role: string) => {
    const buffer = from[role];
    return buffer && boundOf(buffer, e);
  };
  const read = (role: string): Bound => boundOf(operands[role]!, e); // one for each of the op's
  return { read, made: place(results), added: place(residuals) };
}

/** A result that nobody reads, where the kernel gives it all the same. */
export function unread(like: Bound, e: TrainingEmission): Bound {
  return { ...like, view: e.scratch(e.rows * like.stride) };
}
