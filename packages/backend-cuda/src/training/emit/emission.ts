// What emitters of training know beside their step, and the step's operands and results as kernels find them.

import { isFixed, type Node, rowsIn } from "@polyllama/core";
import type { TrainingBuffer, TrainingStep } from "@polyllama/planner";
import type { Handle } from "../../driver/api.ts";
import type { Elements } from "../../kernels/elements.ts";
import type { Rotation } from "../../kernels/rope.ts";
import type { DeviceRows, Launch } from "../../launch.ts";
import type { TrainingFormat } from "../../options.ts";
import type { LoadedWeights } from "../../weights/loaded.ts";
import { strideOf } from "../layout.ts";

export interface TrainingEmission {
  /** N */
  readonly rows: number;
  readonly weights: LoadedWeights;
  /** What operands of linears and of their gradients are rounded to. */
  readonly products: TrainingFormat;
  /** Of rows as kernels read them. */
  readonly step: Handle;
  /** Of each row, the first row of its sequence and the row behind its last. */
  readonly bounds: Handle;
  /** Becomes 1 where something that updates are made of is not finite. */
  readonly flag: Handle;
  rotation(node: Extract<Node, { op: "rope" }>): Rotation;
  /** Where a value is. */
  at(buffer: TrainingBuffer): Handle;
  /** Memory of use within one step of the plan alone. */
  scratch(words: number): Handle;
  /** Whether the new values of weights are written over them; otherwise they are values like others. */
  inPlace(node: Node): boolean;
}

export type Emitted = readonly Launch[];

export function rowsOf(buffer: TrainingBuffer, e: TrainingEmission): DeviceRows {
  return { address: e.at(buffer), width: buffer.width, stride: strideOf(buffer) };
}

/** A value element by element; with what pads the rows of a matrix, which is zero. */
export function elementsOf(buffer: TrainingBuffer, e: TrainingEmission): Elements {
  const { address, width, stride } = rowsOf(buffer, e);
  return { address, rows: rowsIn(buffer.type, e.rows), width: isFixed(buffer.type) ? stride : width, stride };
}

/** By role: what a step reads, makes and adds. */
export interface StepPlaces {
  read(role: string): DeviceRows;
  /** Undefined where nobody reads it. */
  made(role: string): DeviceRows | undefined;
  /** Undefined where nothing is added. */
  added(role: string): DeviceRows | undefined;
}

export function placesOf({ operands, results, residuals }: TrainingStep, e: TrainingEmission): StepPlaces {
  const place = (from: Readonly<Record<string, TrainingBuffer>>) => (role: string) => {
    const buffer = from[role];
    return buffer && rowsOf(buffer, e);
  };
  const read = (role: string): DeviceRows => rowsOf(operands[role]!, e); // one for each of the op's
  return { read, made: place(results), added: place(residuals) };
}

/** A result that nobody reads, where the kernel gives it all the same. */
export function unread(like: DeviceRows, e: TrainingEmission): DeviceRows {
  return { ...like, address: e.scratch(e.rows * like.stride) };
}
