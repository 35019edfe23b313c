// How long a plan's buffers are in use: from the first step that touches them to the last. Inputs are there from the
// start, outputs to the end and beyond.

import { ops } from "@polyllama/core";
import {
  forOtherStep,
  isPlain,
  type Lifetime,
  type PerOtherStep,
  type Place,
  type PlainStep,
  type PlanBuffer,
  type PlanStep,
} from "./plan.ts";

/** The places that a step reads or writes. */
export function placesOf(step: PlanStep): readonly Place[] {
  if (isPlain(step)) return [...inputsOf(step), step.y];
  return forOtherStep(places, step).filter((place) => place !== undefined);
}

function inputsOf(step: PlainStep): readonly Place[] {
  const fields = step as unknown as Readonly<Record<string, Place>>; // those that are named by the op's inputs
  return ops[step.kind].inputs.map((role) => fields[role]!);
}

const places: PerOtherStep<readonly (Place | undefined)[]> = {
  embedding: ({ y }) => [y],
  gather: ({ x, y }) => [x, y],
  norm: ({ x, y }) => [x, y],
  convert: ({ x, up, y }) => [x, up, y],
  linear: ({ x, residual, y }) => [x, residual, y],
  rope: ({ x, y }) => [x, y],
  cache: ({ k, v, q }) => [k, v, q?.x, q?.y],
  attention: ({ q, y }) => [q, y],
  add: ({ a, b, y, normed }) => [a, b, y, normed?.y],
};

export function findLifetimes(
  steps: readonly PlanStep[],
  buffers: readonly PlanBuffer[],
  inputs: Iterable<Place>,
  outputs: Iterable<Place>,
): readonly Lifetime[] {
  const lifetimes = buffers.map(() => ({ first: Number.POSITIVE_INFINITY, last: -1 }));
  const touch = ({ buffer }: Place, at: number): void => {
    const lifetime = lifetimes[buffer.id]!;
    lifetime.first = Math.min(lifetime.first, at);
    lifetime.last = Math.max(lifetime.last, at);
  };
  for (const place of inputs) touch(place, 0);
  for (const [at, step] of steps.entries()) for (const place of placesOf(step)) touch(place, at);
  for (const place of outputs) touch(place, Number.POSITIVE_INFINITY);
  return lifetimes;
}
